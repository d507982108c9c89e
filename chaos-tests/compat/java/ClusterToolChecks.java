import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Kafka's tools for the cluster as a whole: leaders, replicas, the quorum, features, settings of
 * brokers, and the resets of groups. What a tool changed is waited for, since the node that answers
 * the next question may learn of it a little later.
 */
final class ClusterToolChecks {
  private static final String TOOLS = "org.apache.kafka.tools.";
  private static final String TOPICS = TOOLS + "TopicCommand";
  private static final String GROUPS = TOOLS + "consumer.group.ConsumerGroupCommand";
  private static final String CONFIGS = "kafka.admin.ConfigCommand";
  private static final String ELECTION = TOOLS + "LeaderElectionCommand";
  private static final String REASSIGN = TOOLS + "reassign.ReassignPartitionsCommand";
  private static final String QUORUM = TOOLS + "MetadataQuorumCommand";
  private static final String FEATURES = TOOLS + "FeatureCommand";
  private static final String CLUSTER = TOOLS + "ClusterTool";
  private static final int UNKNOWN_NODE = 4242;
  private static final int MANY_NODES = 3;
  private static final long SEEN_LIMIT_MS = 15_000;
  private static final long MINUTE_MS = 60_000;

  private final Admin admin = Admin.create(Map.of("bootstrap.servers", Suite.BOOTSTRAP));
  private List<Integer> nodes = List.of();

  void run() throws Exception {
    nodes = admin.describeCluster().nodes().get().stream().map(Node::id).sorted().toList();
    Suite.check("kafka-leader-election: nothing to do", this::electionOfTheElected);
    onManyNodes("kafka-leader-election: the preferred replica leads again", this::preferredElection);
    onManyNodes("kafka-reassign-partitions: generate, execute, verify", this::reassign);
    onManyNodes("kafka-reassign-partitions: cancel", this::cancelReassignment);
    Suite.check("kafka-metadata-quorum", this::quorum);
    Suite.check("kafka-features: describe, a refused downgrade", this::features);
    Suite.check("kafka-cluster: id, endpoints, unregister an unknown node", this::cluster);
    Suite.check("kafka-configs: one broker and the default of all", this::brokerConfigs);
    Suite.check("kafka-get-offsets: by timestamp", this::offsetsByTime);
    Suite.check("kafka-consumer-groups: members", this::members);
    Suite.check("kafka-consumer-groups: reset by time and by shift", this::resets);
    admin.close();
  }

  private void onManyNodes(String name, Suite.Check check) throws Exception {
    if (nodes.size() >= MANY_NODES) {
      Suite.check(name, check);
      return;
    }
    Map<String, Object> line = new LinkedHashMap<>();
    line.put("check", name);
    line.put("skip", "it needs " + MANY_NODES + " nodes, here " + nodes.size());
    Suite.say(line);
  }

  private static String tool(String className, String... arguments) throws Exception {
    return ToolChecks.tool(className, arguments);
  }

  /** kafka-cluster wants its action before the address. */
  private static String clusterTool(String action, String... arguments) throws Exception {
    List<String> all = new ArrayList<>(List.of(action, "--bootstrap-server", Suite.BOOTSTRAP));
    all.addAll(List.of(arguments));
    return ToolChecks.plainTool("", CLUSTER, all.toArray(new String[0]));
  }

  /** What the tool says, which has to fail. */
  private static String refusal(Suite.Check run) throws Exception {
    try {
      run.run();
    } catch (AssertionError error) {
      return error.getMessage();
    }
    throw new AssertionError("the tool succeeded, a refusal was expected");
  }

  private static void waitForText(String what, String part, Output output) throws Exception {
    String[] last = {""};
    try {
      Suite.waitFor(SEEN_LIMIT_MS, what, () -> (last[0] = output.text()).contains(part));
    } catch (AssertionError error) {
      throw new AssertionError(error.getMessage() + "; no '" + part + "' in: " + last[0]);
    }
  }

  interface Output {
    String text() throws Exception;
  }

  private String createTopic(String suffix, Map<Integer, List<Integer>> replicas) throws Exception {
    String topic = Suite.PREFIX + suffix;
    admin.createTopics(List.of(new NewTopic(topic, replicas))).all().get();
    waitForText("the topic exists", "Leader: " + replicas.get(0).get(0) + "\t", () -> describe(topic));
    return topic;
  }

  private static String describe(String topic) throws Exception {
    try {
      return tool(TOPICS, "--describe", "--topic", topic);
    } catch (AssertionError error) {
      return error.getMessage(); // not known there yet
    }
  }

  /** Partition 0 alone, in the form that the reassignment tool reads. */
  private static Path assignment(String topic, List<Integer> replicas) throws Exception {
    Path file = Files.createTempFile("reassign", ".json");
    file.toFile().deleteOnExit();
    return Files.writeString(file, "{\"version\":1,\"partitions\":[{\"topic\":\"" + topic
        + "\",\"partition\":0,\"replicas\":" + replicas + "}]}");
  }

  private static String joined(List<Integer> ids) {
    return ids.stream().map(String::valueOf).collect(Collectors.joining(","));
  }

  private void electionOfTheElected() throws Exception {
    String topic = createTopic("-elected", Map.of(0, List.of(nodes.get(0))));
    Suite.expectContains(
        tool(ELECTION, "--election-type", "preferred", "--topic", topic, "--partition", "0"),
        "Valid replica already elected for partitions " + topic + "-0");
    String unknown = topic + "-unknown";
    Suite.expectContains(
        refusal(() -> tool(ELECTION, "--election-type", "preferred", "--topic", unknown, "--partition", "0")),
        unknown, "UnknownTopicOrPartitionException");
  }

  /** The replicas in another order: another one is preferred, and leads only after the election. */
  private void preferredElection() throws Exception {
    int first = nodes.get(0);
    int second = nodes.get(1);
    int third = nodes.get(2);
    String topic = createTopic("-election", Map.of(0, List.of(first, second, third)));
    waitForText("all are in sync", "Isr: " + joined(List.of(first, second, third)), () -> describe(topic));
    List<Integer> turned = List.of(second, third, first);
    tool(REASSIGN, "--reassignment-json-file", assignment(topic, turned).toString(), "--execute");
    waitForText("the new order", "Replicas: " + joined(turned), () -> describe(topic));
    Suite.expectContains(describe(topic), "Leader: " + first + "\t");
    Suite.expectContains(
        tool(ELECTION, "--election-type", "preferred", "--topic", topic, "--partition", "0"),
        "Successfully completed leader election (PREFERRED) for partitions " + topic + "-0");
    waitForText("the preferred replica leads", "Leader: " + second + "\t", () -> describe(topic));
  }

  private void reassign() throws Exception {
    int from = nodes.get(0);
    int to = nodes.get(1);
    String topic = createTopic("-moved", Map.of(0, List.of(from)));
    produce(topic, 50, 100);
    Path topics = Files.writeString(Files.createTempFile("move", ".json"),
        "{\"version\":1,\"topics\":[{\"topic\":\"" + topic + "\"}]}");
    topics.toFile().deleteOnExit();
    String generated = tool(REASSIGN, "--generate", "--topics-to-move-json-file", topics.toString(),
        "--broker-list", String.valueOf(to));
    Suite.expectContains(generated, "Current partition replica assignment", "\"replicas\":[" + from + "]",
        "Proposed partition reassignment configuration", "\"replicas\":[" + to + "]");
    String file = assignment(topic, List.of(to)).toString();
    Suite.expectContains(tool(REASSIGN, "--reassignment-json-file", file, "--execute"),
        "Successfully started partition reassignment for " + topic + "-0");
    waitForText("the move ends", "Reassignment of partition " + topic + "-0 is completed",
        () -> tool(REASSIGN, "--reassignment-json-file", file, "--verify"));
    waitForText("the new node leads", "Leader: " + to + "\t", () -> describe(topic));
    Suite.expectContains(describe(topic), "Replicas: " + to + "\t", "Isr: " + to + "\t");
    Suite.expectContains(tool(TOOLS + "GetOffsetShell", "--topic", topic), topic + ":0:50");
    Suite.expectContains(
        refusal(() -> tool(REASSIGN, "--reassignment-json-file",
            assignment(topic, List.of(UNKNOWN_NODE)).toString(), "--execute")),
        String.valueOf(UNKNOWN_NODE));
  }

  /** Slowed down, so that the move is still under way when it is cancelled. */
  private void cancelReassignment() throws Exception {
    int from = nodes.get(0);
    String topic = createTopic("-cancelled", Map.of(0, List.of(from)));
    produce(topic, 80, 100_000);
    String file = assignment(topic, List.of(nodes.get(1))).toString();
    tool(REASSIGN, "--reassignment-json-file", file, "--execute", "--throttle", "1024");
    waitForText("the move is listed", topic + "-0", () -> tool(REASSIGN, "--list"));
    Suite.expectContains(tool(REASSIGN, "--reassignment-json-file", file, "--verify", "--preserve-throttles"),
        "Reassignment of partition " + topic + "-0 is still in progress");
    Suite.expectContains(tool(REASSIGN, "--reassignment-json-file", file, "--cancel"),
        "Successfully cancelled", topic + "-0");
    Suite.waitFor(SEEN_LIMIT_MS, "the move is no longer listed",
        () -> !tool(REASSIGN, "--list").contains(topic + "-0"));
    waitForText("the old replica alone", "Replicas: " + from + "\t", () -> describe(topic));
    Suite.expectContains(tool(REASSIGN, "--reassignment-json-file", file, "--cancel"),
        "None of the specified partition moves are active");
  }

  private void quorum() throws Exception {
    String status = tool(QUORUM, "describe", "--status");
    Suite.expectContains(status, "ClusterId:", "LeaderId:", "LeaderEpoch:", "HighWatermark:", "MaxFollowerLag:",
        "CurrentVoters:", "CurrentObservers:");
    int leader = Integer.parseInt(firstGroup("LeaderId:\\s+(\\d+)", status));
    Suite.expect(nodes.contains(leader), "the leader is no node: " + status);
    String replication = tool(QUORUM, "describe", "--replication");
    Suite.expectContains(replication, "NodeId", "LogEndOffset", "Lag", "Status");
    TreeSet<Integer> voters = new TreeSet<>();
    Matcher row = Pattern.compile("(?m)^(\\d+)\\s+\\S+\\s+\\d+\\s+-?\\d+\\s.*(Leader|Follower)\\s*$").matcher(replication);
    int leaders = 0;
    while (row.find()) {
      voters.add(Integer.valueOf(row.group(1)));
      if (row.group(2).equals("Leader")) leaders++;
    }
    Suite.expectEqual(leaders, 1, "leaders in " + replication);
    Suite.expectEqual(List.copyOf(voters), nodes, "voters in " + replication);
  }

  private static String firstGroup(String pattern, String text) {
    Matcher found = Pattern.compile(pattern).matcher(text);
    Suite.expect(found.find(), "no " + pattern + " in: " + text);
    return found.group(1);
  }

  /** To a level below the lowest that is supported: Kafka has a lower lowest than we. */
  private void features() throws Exception {
    String before = tool(FEATURES, "describe");
    Suite.expectContains(before, "Feature: metadata.version", "SupportedMaxVersion:", "FinalizedVersionLevel:");
    String refused = refusal(() -> tool(FEATURES, "downgrade", "--feature", "metadata.version=6"));
    Suite.expectContains(refused, "Could not downgrade metadata.version to 6", "Invalid update version 6",
        "1 out of 1 operation(s) failed");
    String level = "metadata.version.*FinalizedVersionLevel: (\\S+)";
    Suite.expectEqual(firstGroup(level, tool(FEATURES, "describe")), firstGroup(level, before), "level");
  }

  private void cluster() throws Exception {
    String id = admin.describeCluster().clusterId().get();
    Suite.expectContains(clusterTool("cluster-id"), "Cluster ID: " + id);
    String endpoints = clusterTool("list-endpoints");
    for (Node node : admin.describeCluster().nodes().get()) {
      Suite.expect(Pattern.compile("(?m)^" + node.id() + "\\s+" + Pattern.quote(node.host()) + "\\s+" + node.port()
          + "\\s").matcher(endpoints).find(), "no node " + node + " in: " + endpoints);
    }
    Suite.expectContains(refusal(() -> clusterTool("unregister", "--id", String.valueOf(UNKNOWN_NODE))),
        "BrokerIdNotRegisteredException", String.valueOf(UNKNOWN_NODE));
  }

  private void brokerConfigs() throws Exception {
    String one = String.valueOf(nodes.get(0));
    String name = "log.cleaner.delete.retention.ms";
    List<String> broker = List.of("--entity-type", "brokers", "--entity-name", one);
    List<String> all = List.of("--entity-type", "brokers", "--entity-default");
    configs(all, "--alter", "--add-config", name + "=86400001");
    configs(broker, "--alter", "--add-config", name + "=86400002");
    waitForText("the default of all", name + "=86400001", () -> configs(all, "--describe"));
    waitForText("the broker's own", name + "=86400002", () -> configs(broker, "--describe"));
    Suite.expectContains(configs(broker, "--describe"), "DYNAMIC_BROKER_CONFIG:" + name + "=86400002",
        "DYNAMIC_DEFAULT_BROKER_CONFIG:" + name + "=86400001", "DEFAULT_CONFIG:" + name + "=86400000");
    Suite.expectContains(refusal(() -> configs(broker, "--alter", "--add-config", "log.retention.hours=1")),
        "log.retention.hours", "InvalidRequestException");
    configs(broker, "--alter", "--delete-config", name);
    Suite.waitFor(SEEN_LIMIT_MS, "the broker's own is gone",
        () -> !configs(broker, "--describe").contains("86400002"));
    waitForText("the default holds again", name + "=86400001", () -> configs(broker, "--describe", "--all"));
    configs(all, "--alter", "--delete-config", name);
    Suite.waitFor(SEEN_LIMIT_MS, "the default is gone", () -> !configs(all, "--describe").contains(name));
    waitForText("what comes with the server", name + "=86400000", () -> configs(broker, "--describe", "--all"));
  }

  private static String configs(List<String> entity, String... more) throws Exception {
    List<String> arguments = new ArrayList<>(entity);
    arguments.addAll(List.of(more));
    return tool(CONFIGS, arguments.toArray(new String[0]));
  }

  private static void produce(String topic, int count, int sizeBytes) throws Exception {
    try (KafkaProducer<byte[], byte[]> producer = producer()) {
      for (int i = 0; i < count; i++) producer.send(new ProducerRecord<>(topic, new byte[sizeBytes]));
      producer.flush();
    }
  }

  private static KafkaProducer<byte[], byte[]> producer() {
    Map<String, Object> settings = Map.of("bootstrap.servers", Suite.BOOTSTRAP, "acks", "all");
    return new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer());
  }

  /** Ten records in partition 0, one a minute: record i is `10 - i` minutes before `endMs`. */
  private String minutes(String suffix, long endMs) throws Exception {
    String topic = createTopic(suffix, Map.of(0, nodes.subList(0, Math.min(nodes.size(), Suite.REPLICAS))));
    try (KafkaProducer<byte[], byte[]> producer = producer()) {
      for (int i = 0; i < 10; i++) {
        long timeMs = endMs - (10 - i) * MINUTE_MS;
        producer.send(new ProducerRecord<>(topic, 0, timeMs, null, Suite.bytes("minute " + i))).get();
      }
    }
    return topic;
  }

  private void offsetsByTime() throws Exception {
    long endMs = Suite.BASE_TIMESTAMP_MS;
    String topic = minutes("-by-time", endMs);
    for (int i : List.of(0, 4, 9)) {
      String time = String.valueOf(endMs - (10 - i) * MINUTE_MS - 1);
      Suite.expectContains(tool(TOOLS + "GetOffsetShell", "--topic", topic, "--time", time), topic + ":0:" + i);
    }
    String exact = String.valueOf(endMs - 5 * MINUTE_MS);
    Suite.expectContains(tool(TOOLS + "GetOffsetShell", "--topic", topic, "--time", exact), topic + ":0:5");
    String later = tool(TOOLS + "GetOffsetShell", "--topic", topic, "--time", String.valueOf(endMs));
    Suite.expect(!Pattern.compile(topic + ":0:\\d").matcher(later).find(), "an offset after the last record: " + later);
  }

  private void members() throws Exception {
    String topic = minutes("-members", Suite.BASE_TIMESTAMP_MS);
    Map<String, Object> settings = Map.of("bootstrap.servers", Suite.BOOTSTRAP, "group.id", topic, "client.id",
        "watched", "group.protocol", "classic");
    try (KafkaConsumer<byte[], byte[]> consumer =
        new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
      consumer.subscribe(List.of(topic));
      Suite.waitFor(SEEN_LIMIT_MS, "an assignment", () -> {
        consumer.poll(Duration.ofMillis(100));
        return !consumer.assignment().isEmpty();
      });
      String printed = tool(GROUPS, "--describe", "--group", topic, "--members", "--verbose");
      Suite.expectContains(printed, "CONSUMER-ID", "watched-", "127.0.0.1", topic + ":0");
      String state = tool(GROUPS, "--describe", "--group", topic, "--state", "--verbose");
      Suite.expectContains(state, "COORDINATOR", "range", "Stable");
      Suite.expectContains(
          refusalOrText(() -> tool(GROUPS, "--group", topic, "--topic", topic, "--reset-offsets", "--to-earliest",
              "--execute")),
          "can only be reset if the group", "Stable");
    }
    waitForText("the member has left", "Empty", () -> tool(GROUPS, "--describe", "--group", topic, "--state"));
  }

  /** Some refusals end the tool with 0 and are only said. */
  private static String refusalOrText(Output output) throws Exception {
    try {
      return output.text();
    } catch (AssertionError error) {
      return error.getMessage();
    }
  }

  private void resets() throws Exception {
    long nowMs = System.currentTimeMillis();
    String topic = minutes("-resets", nowMs);
    TopicPartition partition = new TopicPartition(topic, 0);
    admin.alterConsumerGroupOffsets(topic, Map.of(partition, new OffsetAndMetadata(7))).all().get();
    reset(topic, 5, "--shift-by", "-2");
    reset(topic, 8, "--shift-by", "3");
    reset(topic, 10, "--shift-by", "100"); // no further than the end
    // Half a minute off the records, so that the time that the test takes does not count.
    reset(topic, 6, "--by-duration", "PT4M25S");
    String dateTime = DateTimeFormatter.ofPattern("yyyy-MM-dd'T'HH:mm:ss.SSS'Z'").withZone(ZoneOffset.UTC)
        .format(Instant.ofEpochMilli(nowMs - 7 * MINUTE_MS - MINUTE_MS / 2));
    reset(topic, 3, "--to-datetime", dateTime);
    reset(topic, 10, "--to-datetime", "2100-01-01T00:00:00.000"); // after the last record: the end
  }

  private void reset(String topic, long offset, String... how) throws Exception {
    List<String> arguments = new ArrayList<>(
        List.of("--group", topic, "--topic", topic, "--reset-offsets", "--execute"));
    arguments.addAll(List.of(how));
    String printed = tool(GROUPS, arguments.toArray(new String[0]));
    Suite.expect(Pattern.compile(Pattern.quote(topic) + "\\s+0\\s+" + offset + "\\s").matcher(printed).find(),
        String.join(" ", how) + " is to give " + offset + ": " + printed);
    long committed = admin.listConsumerGroupOffsets(topic).partitionsToOffsetAndMetadata().get()
        .get(new TopicPartition(topic, 0)).offset();
    Suite.expectEqual(committed, offset, "committed after " + String.join(" ", how));
  }
}
