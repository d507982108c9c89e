import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.GroupListing;
import org.apache.kafka.clients.admin.ListGroupsOptions;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.CloseOptions;
import org.apache.kafka.clients.consumer.CloseOptions.GroupMembershipOperation;
import org.apache.kafka.clients.consumer.KafkaConsumer;

/** What the checks need and what clients before 4.x call by other names (older/ClientApi.java). */
final class ClientApi {
  enum Ending { CLOSE, LEAVE, DIE }

  static final List<String> OPTIONS_OF_THE_DYING = List.of();

  private ClientApi() {}

  static void close(KafkaConsumer<byte[], byte[]> consumer, Ending ending) {
    GroupMembershipOperation operation = switch (ending) {
      case CLOSE -> GroupMembershipOperation.DEFAULT;
      case LEAVE -> GroupMembershipOperation.LEAVE_GROUP;
      case DIE -> GroupMembershipOperation.REMAIN_IN_GROUP;
    };
    consumer.close(CloseOptions.groupMembershipOperation(operation).withTimeout(Duration.ofSeconds(5)));
  }

  static Map<OffsetSpec, Long> offsetsOfTheLatest(long offset) {
    return Map.of(OffsetSpec.maxTimestamp(), offset);
  }

  static TopicDescription describe(Admin admin, String topic) throws Exception {
    return admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic);
  }

  static Set<String> groups(Admin admin) throws Exception {
    return admin.listGroups().all().get().stream().map(GroupListing::groupId).collect(Collectors.toSet());
  }

  static Set<String> consumerGroups(Admin admin) throws Exception {
    return admin.listGroups(ListGroupsOptions.forConsumerGroups()).all().get().stream()
        .map(GroupListing::groupId).collect(Collectors.toSet());
  }

  static String state(Admin admin, String group) throws Exception {
    return admin.describeConsumerGroups(List.of(group)).all().get().get(group).groupState().toString();
  }
}
