import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentSkipListSet;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import com.fasterxml.jackson.databind.JsonNode;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** Producer, consumer and admin client. */
final class ClientChecks {
  private final Admin admin = Admin.create(Map.of("bootstrap.servers", Suite.BOOTSTRAP));

  void run() throws Exception {
    for (String codec : Suite.CODECS) {
      Suite.check("produce and consume: " + codec, () -> codec(codec));
    }
    Suite.check("keys, headers, null values", this::shapes);
    Suite.check("1 MB record; a larger one is refused", this::big);
    Suite.check("idempotent producer", this::idempotent);
    Suite.check("timestamps and offsets for times", this::timestamps);
    if (!Suite.IS_FAST) {
      for (String assignor : List.of("RangeAssignor", "CooperativeStickyAssignor")) group(assignor);
      Suite.check("group: a static member comes back", this::staticMember);
    }
    Suite.check("commit, resume, reset", this::commitResume);
    Suite.check("admin: topics and configs", this::adminTopics);
    Suite.check("admin: delete records", this::adminRecords);
    Suite.check("admin: groups", this::adminGroups);
    Suite.check("unknown topic", this::refusals);
    Suite.check("transactional id", this::transactions);
  }

  static KafkaProducer<byte[], byte[]> producer(String... options) {
    Properties properties = new Properties();
    properties.put("bootstrap.servers", Suite.BOOTSTRAP);
    properties.put("max.block.ms", "20000");
    for (int i = 0; i < options.length; i += 2) properties.put(options[i], options[i + 1]);
    return new KafkaProducer<>(properties, new ByteArraySerializer(), new ByteArraySerializer());
  }

  static KafkaConsumer<byte[], byte[]> consumer(String... options) {
    Properties properties = new Properties();
    properties.put("bootstrap.servers", Suite.BOOTSTRAP);
    properties.put("auto.offset.reset", "earliest");
    properties.put("enable.auto.commit", "false");
    properties.put("allow.auto.create.topics", "false");
    properties.put("session.timeout.ms", "6000");
    properties.put("heartbeat.interval.ms", "500");
    for (int i = 0; i < options.length; i += 2) properties.put(options[i], options[i + 1]);
    return new KafkaConsumer<>(properties, new ByteArrayDeserializer(), new ByteArrayDeserializer());
  }

  private String create(String name, int partitions) throws Exception {
    String topic = Suite.PREFIX + "-" + name;
    admin.createTopics(List.of(new NewTopic(topic, partitions, Suite.REPLICAS))).all().get();
    Suite.waitFor(10_000, topic + " appears", () -> admin.listTopics().names().get().contains(topic));
    return topic;
  }

  private static ProducerRecord<byte[], byte[]> value(String topic, Object value) {
    return new ProducerRecord<>(topic, Suite.bytes(String.valueOf(value)));
  }

  private static void sendNumbers(String topic, int count, String... options) throws Exception {
    try (KafkaProducer<byte[], byte[]> producer = producer(options)) {
      List<Future<RecordMetadata>> futures = new ArrayList<>();
      for (int i = 0; i < count; i++) futures.add(producer.send(value(topic, i)));
      producer.flush();
      for (int i = 0; i < count; i++) Suite.expectEqual(futures.get(i).get().offset(), (long) i, "offset");
    }
  }

  static List<ConsumerRecord<byte[], byte[]>> read(String topic, int count, String... options) {
    try (KafkaConsumer<byte[], byte[]> consumer = consumer(options)) {
      List<TopicPartition> partitions = new ArrayList<>();
      consumer.partitionsFor(topic).forEach(p -> partitions.add(new TopicPartition(topic, p.partition())));
      consumer.assign(partitions);
      consumer.seekToBeginning(partitions);
      List<ConsumerRecord<byte[], byte[]>> records = new ArrayList<>();
      long until = System.nanoTime() + 20_000_000_000L;
      while (records.size() < count && System.nanoTime() < until) {
        consumer.poll(Duration.ofMillis(200)).forEach(records::add);
      }
      Suite.expect(records.size() >= count, "read " + records.size() + " of " + count + " of " + topic);
      return records;
    }
  }

  private static List<String> values(List<ConsumerRecord<byte[], byte[]>> records) {
    return records.stream().map(record -> Suite.text(record.value())).toList();
  }

  private static List<String> numbers(int from, int to) {
    List<String> numbers = new ArrayList<>();
    for (int i = from; i < to; i++) numbers.add(String.valueOf(i));
    return numbers;
  }

  private void codec(String codec) throws Exception {
    String topic = create("codec-" + codec, 1);
    sendNumbers(topic, 500, "compression.type", codec, "linger.ms", "20");
    Suite.expectEqual(values(read(topic, 500)), numbers(0, 500), "values");
  }

  private void shapes() throws Exception {
    String topic = create("shapes", 1);
    List<Header> headers = List.of(
        new RecordHeader("h", Suite.bytes("1")), new RecordHeader("h", new byte[0]), new RecordHeader("null", null));
    String[][] sent = {{"k", "v"}, {null, "no key"}, {"tombstone", null}, {"", ""}, {null, null}};
    try (KafkaProducer<byte[], byte[]> producer = producer()) {
      for (String[] pair : sent) {
        producer.send(new ProducerRecord<>(topic, 0, Suite.bytes(pair[0]), Suite.bytes(pair[1]), headers)).get();
      }
    }
    List<ConsumerRecord<byte[], byte[]>> found = read(topic, sent.length);
    for (int i = 0; i < sent.length; i++) {
      ConsumerRecord<byte[], byte[]> record = found.get(i);
      List<String> pair = Arrays.asList(Suite.text(record.key()), Suite.text(record.value()));
      Suite.expectEqual(pair, Arrays.asList(sent[i]), "record " + i);
      Suite.expectEqual(List.of(record.headers().toArray()), headers, "headers of record " + i);
    }
  }

  private void big() throws Exception {
    String topic = create("big", 1);
    byte[] value = new byte[1_000_000];
    for (int i = 0; i < value.length; i++) value[i] = (byte) i;
    try (KafkaProducer<byte[], byte[]> producer = producer("max.request.size", "3000000")) {
      producer.send(new ProducerRecord<>(topic, value)).get();
      Suite.expectError(() -> producer.send(new ProducerRecord<>(topic, new byte[1_500_000])).get(),
          "RecordTooLargeException");
    }
    Suite.expect(Arrays.equals(read(topic, 1).get(0).value(), value), "the 1 MB value came back");
  }

  private void idempotent() throws Exception {
    String topic = create("idempotent", 1);
    sendNumbers(topic, 2000, "enable.idempotence", "true", "acks", "all");
    Suite.expectEqual(values(read(topic, 2000)), numbers(0, 2000), "values");
  }

  private void timestamps() throws Exception {
    String topic = create("timestamps", 1);
    TopicPartition partition = new TopicPartition(topic, 0);
    long base = Suite.BASE_TIMESTAMP_MS;
    try (KafkaProducer<byte[], byte[]> producer = producer()) {
      for (int i = 0; i < 10; i++) {
        producer.send(new ProducerRecord<>(topic, 0, base + i * 1000L, null, Suite.bytes("" + i))).get();
      }
    }
    for (ConsumerRecord<byte[], byte[]> record : read(topic, 10)) {
      Suite.expectEqual(record.timestamp(), base + record.offset() * 1000, "timestamp");
    }
    try (KafkaConsumer<byte[], byte[]> consumer = consumer()) {
      Suite.expectEqual(consumer.offsetsForTimes(Map.of(partition, base + 4500)).get(partition).offset(), 5L,
          "offset for a time");
      Suite.expectEqual(consumer.offsetsForTimes(Map.of(partition, base + 99_000_000)).get(partition), null,
          "offset for a late time");
    }
    Map<OffsetSpec, Long> expected = new HashMap<>();
    expected.put(OffsetSpec.earliest(), 0L);
    expected.put(OffsetSpec.latest(), 10L);
    expected.putAll(ClientApi.offsetsOfTheLatest(9L));
    expected.put(OffsetSpec.forTimestamp(base + 1), 1L);
    for (Map.Entry<OffsetSpec, Long> entry : expected.entrySet()) {
      long offset = admin.listOffsets(Map.of(partition, entry.getKey())).partitionResult(partition).get().offset();
      Suite.expectEqual(offset, entry.getValue(), entry.getKey().getClass().getSimpleName());
    }
  }

  /** A member in its own thread; its consumer may leave or go silent without a goodbye. */
  private static final class Member implements Runnable, ConsumerRebalanceListener {
    final Set<Integer> assigned = new ConcurrentSkipListSet<>();
    final AtomicReference<ClientApi.Ending> ending = new AtomicReference<>();
    private final KafkaConsumer<byte[], byte[]> consumer;
    private final String topic;
    final Thread thread = new Thread(this);

    Member(String topic, String... options) {
      this.consumer = consumer(options);
      this.topic = topic;
      thread.setDaemon(true);
      thread.start();
    }

    @Override
    public void run() {
      consumer.subscribe(List.of(topic), this);
      while (ending.get() == null) consumer.poll(Duration.ofMillis(100));
      ClientApi.close(consumer, ending.get());
    }

    void end(ClientApi.Ending how) throws Exception {
      ending.set(how);
      thread.join();
    }

    @Override
    public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
      partitions.forEach(partition -> assigned.add(partition.partition()));
    }

    @Override
    public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
      partitions.forEach(partition -> assigned.remove(partition.partition()));
    }
  }

  private static void sharedBy(List<Member> members, int each, long limitMs) throws Exception {
    Suite.waitFor(limitMs, "12 partitions on " + members.size() + " members", () -> {
      Set<Integer> all = new TreeSet<>();
      for (Member member : members) {
        all.addAll(member.assigned);
        if (member.assigned.size() != each) return false;
      }
      return all.size() == 12;
    });
  }

  private void group(String assignor) throws Exception {
    String topic = create("group-" + assignor, 12);
    List<Member> members = new ArrayList<>();
    String strategy = "org.apache.kafka.clients.consumer." + assignor;
    for (int i = 0; i < 3; i++) {
      List<String> options = new ArrayList<>(List.of("group.id", topic, "partition.assignment.strategy", strategy));
      if (i == 1) options.addAll(ClientApi.OPTIONS_OF_THE_DYING);
      members.add(new Member(topic, options.toArray(String[]::new)));
    }
    String name = "group (" + assignor + ")";
    Suite.check(name + " of three shares 12 partitions", () -> sharedBy(members, 4, 30_000));
    Suite.check(name + ": a member leaves", () -> {
      members.get(0).end(ClientApi.Ending.LEAVE);
      sharedBy(members.subList(1, 3), 6, 20_000);
    });
    Suite.check(name + ": a member dies", () -> {
      members.get(1).end(ClientApi.Ending.DIE);
      sharedBy(members.subList(2, 3), 12, 25_000);
    });
    members.get(2).end(ClientApi.Ending.LEAVE);
  }

  private void staticMember() throws Exception {
    String topic = create("static", 2);
    String[] options = {"group.id", topic, "group.instance.id", "first", "session.timeout.ms", "30000"};
    Member first = new Member(topic, options);
    Member second = new Member(topic, "group.id", topic, "group.instance.id", "second", "session.timeout.ms", "30000");
    Suite.waitFor(20_000, "one partition each", () -> first.assigned.size() == 1 && second.assigned.size() == 1);
    Set<Integer> before = new TreeSet<>(first.assigned);
    first.end(ClientApi.Ending.CLOSE);
    Suite.expectEqual(second.assigned.size(), 1, "partitions of the other while the first is away");
    Member again = new Member(topic, options);
    Suite.waitFor(10_000, "its partition again", () -> again.assigned.equals(before));
    Suite.expectEqual(second.assigned.size(), 1, "partitions of the other");
    again.end(ClientApi.Ending.LEAVE);
    second.end(ClientApi.Ending.LEAVE);
  }

  private static List<String> take(String topic, String group, int count) {
    try (KafkaConsumer<byte[], byte[]> consumer = consumer("group.id", group, "max.poll.records", "1")) {
      consumer.subscribe(List.of(topic));
      List<String> values = new ArrayList<>();
      long until = System.nanoTime() + 20_000_000_000L;
      while (values.size() < count && System.nanoTime() < until) {
        consumer.poll(Duration.ofMillis(200)).forEach(record -> values.add(Suite.text(record.value())));
      }
      consumer.commitSync();
      TopicPartition partition = new TopicPartition(topic, 0);
      long committed = consumer.committed(Set.of(partition)).get(partition).offset();
      Suite.expectEqual(committed, Long.parseLong(values.get(values.size() - 1)) + 1, "committed");
      return values;
    }
  }

  private void commitResume() throws Exception {
    String topic = create("resume", 1);
    TopicPartition partition = new TopicPartition(topic, 0);
    sendNumbers(topic, 20);
    Suite.expectEqual(take(topic, topic, 7), numbers(0, 7), "first part");
    Suite.expectEqual(take(topic, topic, 13), numbers(7, 20), "second part");
    admin.alterConsumerGroupOffsets(topic, Map.of(partition, new OffsetAndMetadata(5, "note"))).all().get();
    OffsetAndMetadata stored =
        admin.listConsumerGroupOffsets(topic).partitionsToOffsetAndMetadata().get().get(partition);
    Suite.expectEqual(stored.metadata(), "note", "metadata");
    Suite.expectEqual(take(topic, topic, 2), numbers(5, 7), "after the reset");
  }

  private void alter(ConfigResource resource, AlterConfigOp.OpType operation, String name, String value)
      throws Exception {
    AlterConfigOp change = new AlterConfigOp(new ConfigEntry(name, value), operation);
    admin.incrementalAlterConfigs(Map.of(resource, List.of(change))).all().get();
  }

  private void adminTopics() throws Exception {
    String topic = create("admin", 2);
    ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
    Suite.expectEqual(ClientApi.describe(admin, topic).partitions().size(), 2,
        "partitions");
    alter(resource, AlterConfigOp.OpType.SET, "retention.ms", "120000");
    alter(resource, AlterConfigOp.OpType.APPEND, "cleanup.policy", "compact");
    Map<String, String> expected = new HashMap<>();
    expected.put("retention.ms", "120000");
    expected.put("cleanup.policy", "delete,compact");
    expected.put("max.message.bytes", "1048588");
    // Each node applies changes in its own time.
    AtomicReference<Config> config = new AtomicReference<>();
    Suite.waitFor(10_000, "the settings " + expected, () -> {
      config.set(admin.describeConfigs(List.of(resource)).all().get().get(resource));
      return expected.entrySet().stream().allMatch(one -> one.getValue().equals(config.get().get(one.getKey()).value()));
    });
    Suite.expectEqual(config.get().get("retention.ms").source(), ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG, "source");
    alter(resource, AlterConfigOp.OpType.DELETE, "retention.ms", "");
    Suite.waitFor(10_000, "retention.ms after its deletion", () -> "604800000"
        .equals(admin.describeConfigs(List.of(resource)).all().get().get(resource).get("retention.ms").value()));
    Suite.expectError(() -> alter(resource, AlterConfigOp.OpType.SET, "retention.ms", "soon"),
        "InvalidConfigurationException");
    Suite.expectError(() -> alter(resource, AlterConfigOp.OpType.SET, "no.such.setting", "1"),
        "InvalidConfigurationException");
    admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(5))).all().get();
    Suite.waitFor(10_000, "5 partitions",
        () -> ClientApi.describe(admin, topic).partitions().size() == 5);
    Suite.expectError(() -> admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(3))).all().get(),
        "InvalidPartitionsException");
    Suite.expectError(() -> create("admin", 1), "TopicExistsException");
    Suite.expectError(() -> create("bad name!", 1), "InvalidTopicException");
    Suite.expectError(() -> admin.createTopics(List.of(new NewTopic(topic + "-x", 1, (short) 7))).all().get(),
        "InvalidReplicationFactorException");
    admin.deleteTopics(List.of(topic)).all().get();
    Suite.waitFor(10_000, "the topic is gone", () -> !admin.listTopics().names().get().contains(topic));
    Suite.expectError(() -> admin.deleteTopics(List.of(topic)).all().get(), "UnknownTopicOrPartitionException");
    Suite.expect(admin.describeCluster().nodes().get().size() >= 1, "no nodes");
    Suite.expect(admin.describeCluster().controller().get() != null, "no controller");
  }

  private void adminRecords() throws Exception {
    String topic = create("records", 1);
    TopicPartition partition = new TopicPartition(topic, 0);
    sendNumbers(topic, 10);
    long low = admin.deleteRecords(Map.of(partition, RecordsToDelete.beforeOffset(4)))
        .lowWatermarks().get(partition).get().lowWatermark();
    Suite.expectEqual(low, 4L, "low watermark");
    Suite.expectEqual(read(topic, 6).get(0).offset(), 4L, "first offset");
    Suite.expectError(() -> admin.deleteRecords(Map.of(partition, RecordsToDelete.beforeOffset(99))).all().get(),
        "OffsetOutOfRangeException");
    try (KafkaConsumer<byte[], byte[]> consumer = consumer("auto.offset.reset", "none")) {
      consumer.assign(List.of(partition));
      consumer.seek(partition, 1);
      Suite.expectError(() -> {
        for (int i = 0; i < 50; i++) consumer.poll(Duration.ofMillis(200));
      }, "OffsetOutOfRangeException");
    }
  }

  private void adminGroups() throws Exception {
    String group = Suite.PREFIX + "-resume";
    Suite.expect(ClientApi.groups(admin).contains(group), "not listed");
    Suite.expect(ClientApi.consumerGroups(admin).contains(group), "not listed as a consumer group");
    Suite.expectEqual(ClientApi.state(admin, group), "Empty", "state");
    TopicPartition partition = new TopicPartition(group, 0);
    admin.deleteConsumerGroupOffsets(group, Set.of(partition)).all().get();
    Suite.expectEqual(admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get().size(), 0,
        "offsets after their deletion");
    admin.deleteConsumerGroups(List.of(group)).all().get();
    Suite.expect(!ClientApi.groups(admin).contains(group), "still listed");
    Suite.expectError(() -> admin.deleteConsumerGroups(List.of(group)).all().get(), "GroupIdNotFoundException");
  }

  private void refusals() throws Exception {
    String topic = Suite.PREFIX + "-no-such-topic";
    Suite.expectError(() -> ClientApi.describe(admin, topic),
        "UnknownTopicOrPartitionException");
    Suite.expectError(() -> {
      try (KafkaProducer<byte[], byte[]> producer = producer("max.block.ms", "3000")) {
        producer.send(value("bad name!", 1)).get(10, TimeUnit.SECONDS);
      }
    }, "InvalidTopicException");
  }

  private void transactions() throws Exception {
    try (KafkaProducer<byte[], byte[]> producer =
        producer("transactional.id", Suite.PREFIX + "-tx", "max.block.ms", "15000")) {
      if (!Suite.HAS_TRANSACTIONS) {
        try {
          producer.initTransactions();
        } catch (org.apache.kafka.common.errors.TimeoutException error) {
          throw new AssertionError("a time-out instead of an error", error);
        } catch (org.apache.kafka.common.KafkaException error) {
          return;
        }
        throw new AssertionError("a transactional id was taken");
      }
      String topic = create("transactions", 1);
      producer.initTransactions();
      producer.beginTransaction();
      producer.send(value(topic, "abort"));
      producer.flush();
      producer.abortTransaction();
      producer.beginTransaction();
      producer.send(value(topic, "commit"));
      producer.commitTransaction();
      Suite.expectEqual(values(read(topic, 1, "isolation.level", "read_committed")), List.of("commit"), "values");
    }
  }

  private void crossWrite(String topic) throws Exception {
    for (String codec : Suite.CODECS) {
      List<Header> headers = List.of(new RecordHeader("codec", Suite.bytes(codec)),
          new RecordHeader("client", Suite.bytes(Suite.CLIENT)));
      try (KafkaProducer<byte[], byte[]> producer = producer("compression.type", codec, "linger.ms", "20")) {
        for (int i = 0; i < Suite.CROSS_COUNT; i++) {
          producer.send(new ProducerRecord<>(topic, Suite.CODECS.indexOf(codec), Suite.BASE_TIMESTAMP_MS + i * 1000L,
              Suite.bytes(Suite.crossKey(i)), Suite.bytes(Suite.crossValue(codec, i)), headers));
        }
      }
    }
  }

  void cross() throws Exception {
    String topic = Suite.PREFIX + "-cross";
    Suite.check("writes for the others", () -> crossWrite(create("cross", Suite.CODECS.size())));
    Suite.say(Map.of("produced",
        Map.of("client", Suite.CLIENT, "topic", topic, "codecs", Suite.CODECS, "timestamps", true, "headers", true)));
    for (JsonNode source : Suite.readCrossSources()) {
      Suite.check("reads what " + source.get("client").asText() + " wrote", () -> expectCross(source));
    }
  }

  private void expectCross(JsonNode source) {
    List<String> codecs = new ArrayList<>();
    source.get("codecs").forEach(codec -> codecs.add(codec.asText()));
    var records = read(source.get("topic").asText(), codecs.size() * Suite.CROSS_COUNT);
    records.sort(java.util.Comparator.comparingLong(ConsumerRecord::offset));
    for (String codec : codecs) {
      var found = records.stream().filter(r -> r.partition() == Suite.CODECS.indexOf(codec)).toList();
      Suite.expectEqual(found.size(), Suite.CROSS_COUNT, "records with " + codec);
      for (int i = 0; i < found.size(); i++) {
        ConsumerRecord<byte[], byte[]> record = found.get(i);
        String what = "record " + i + " with " + codec;
        Suite.expectEqual(record.offset(), (long) i, "offset of " + what);
        Suite.expectEqual(Suite.text(record.key()), Suite.crossKey(i), "key of " + what);
        Suite.expectEqual(Suite.text(record.value()), Suite.crossValue(codec, i), "value of " + what);
        if (source.get("timestamps").asBoolean()) {
          Suite.expectEqual(record.timestamp(), Suite.BASE_TIMESTAMP_MS + i * 1000L, "timestamp of " + what);
        }
        if (source.get("headers").asBoolean()) {
          Suite.expectEqual(record.headers().toArray().length, 2, "headers of " + what);
          Suite.expectEqual(Suite.text(record.headers().lastHeader("codec").value()), codec, "header of " + what);
        }
      }
    }
  }
}
