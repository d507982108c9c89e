import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ConsumerGroupListing;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.KafkaConsumer;

/** ClientApi for the clients 2.8 to 3.9. */
@SuppressWarnings("deprecation")
final class ClientApi {
  enum Ending { CLOSE, LEAVE, DIE }

  /** A static member does not say that it leaves: its session has to run out. */
  static final List<String> OPTIONS_OF_THE_DYING = List.of("group.instance.id", "dies");

  private ClientApi() {}

  static void close(KafkaConsumer<byte[], byte[]> consumer, Ending ending) {
    consumer.close(Duration.ofSeconds(5));
  }

  static Map<OffsetSpec, Long> offsetsOfTheLatest(long offset) {
    return Map.of();
  }

  static TopicDescription describe(Admin admin, String topic) throws Exception {
    return admin.describeTopics(List.of(topic)).all().get().get(topic);
  }

  static Set<String> groups(Admin admin) throws Exception {
    return consumerGroups(admin);
  }

  static Set<String> consumerGroups(Admin admin) throws Exception {
    return admin.listConsumerGroups().all().get().stream()
        .map(ConsumerGroupListing::groupId).collect(Collectors.toSet());
  }

  static String state(Admin admin, String group) throws Exception {
    return admin.describeConsumerGroups(List.of(group)).all().get().get(group).state().toString();
  }
}
