import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.nio.charset.StandardCharsets;
import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/** Kafka's command-line tools, called through their main methods with captured output. */
final class ToolChecks {
  /** What Exit.exit does while a tool runs. */
  static final class ToolExit extends RuntimeException {
    final int code;

    ToolExit(int code, String message) {
      super("exit " + code + (message == null ? "" : ": " + message), null, false, false);
      this.code = code;
    }
  }

  /** The first code of the running tool: some catch what stands for the end and exit again. */
  private static Integer exitCode;

  static ToolExit exit(int code, String message) {
    if (exitCode == null) exitCode = code;
    return new ToolExit(code, message);
  }

  private static final String TOOLS = "org.apache.kafka.tools.";
  private static final String TOPICS = TOOLS + "TopicCommand";
  private static final String GROUPS = TOOLS + "consumer.group.ConsumerGroupCommand";
  private static final String CONFIGS = "kafka.admin.ConfigCommand";
  private static final Pattern FOLLOWED = Pattern.compile("(\\d+) is followed by (\\d+)");
  private static final Pattern COMPLAINTS = Pattern.compile(
      "(?i)isvalid: false|mismatch|non-consecutive|invalid|exception|could not|corrupt|not found|unexpected");

  /** What the tools want done at the end of the JVM. */
  static final List<Runnable> HOOKS = new ArrayList<>();

  private final String topic = Suite.PREFIX + "-tools";
  private final String perfTopic = Suite.PREFIX + "-perf";

  void run() throws Exception {
    Suite.check("kafka-topics", this::topics);
    Suite.check("kafka-console-producer and -consumer", this::console);
    Suite.check("kafka-get-offsets", this::offsets);
    Suite.check("kafka-consumer-groups", this::groups);
    Suite.check("kafka-configs", this::configs);
    Suite.check("kafka-delete-records", this::deleteRecords);
    Suite.check("kafka-log-dirs", this::logDirs);
    Suite.check("kafka-producer-perf-test, kafka-consumer-perf-test", this::performance);
    Suite.check("kafka-verifiable-producer, kafka-verifiable-consumer", this::verifiable);
    Suite.check("kafka-broker-api-versions, kafka-cluster, kafka-groups", this::cluster);
    if (Suite.DATA_DIRECTORY.isEmpty()) return;
    Suite.check("kafka-dump-log of every partition", () -> dumpAll("", "--deep-iteration"));
    Suite.check("kafka-dump-log of __consumer_offsets",
        () -> dumpAll("__consumer_offsets-", "--offsets-decoder"));
    Suite.check("kafka-dump-log of __cluster_metadata",
        () -> dumpAll("__cluster_metadata-", "--cluster-metadata-decoder"));
  }

  /** Runs a tool with `--bootstrap-server`; its output, or an error when it ends with another code. */
  static String tool(String className, String... arguments) throws Exception {
    List<String> all = new ArrayList<>(List.of("--bootstrap-server", Suite.BOOTSTRAP));
    all.addAll(List.of(arguments));
    return plainTool("", className, all.toArray(new String[0]));
  }

  static String plainTool(String input, String className, String... arguments) throws Exception {
    PrintStream out = System.out;
    PrintStream err = System.err;
    InputStream in = System.in;
    ByteArrayOutputStream captured = new ByteArrayOutputStream();
    PrintStream capture = new PrintStream(captured, true, StandardCharsets.UTF_8);
    exitCode = null;
    HOOKS.clear();
    Throwable thrown = null;
    System.setOut(capture);
    System.setErr(capture);
    System.setIn(new ByteArrayInputStream(input.getBytes(StandardCharsets.UTF_8)));
    try {
      scala.Console.withOut(capture, () -> {
        try {
          Class.forName(className).getMethod("main", String[].class).invoke(null, (Object) arguments);
        } catch (InvocationTargetException error) {
          throw error.getCause() instanceof RuntimeException cause ? cause : new RuntimeException(error.getCause());
        } catch (ReflectiveOperationException error) {
          throw new IllegalStateException(error);
        }
        return null;
      });
    } catch (ToolExit exit) {
      // exitCode has it
    } catch (RuntimeException error) {
      if (exitCode == null) thrown = error;
    } finally {
      if (className.endsWith("VerifiableProducer")) HOOKS.forEach(Runnable::run); // flushes
      System.setOut(out);
      System.setErr(err);
      System.setIn(in);
    }
    int code = exitCode == null ? 0 : exitCode;
    String text = captured.toString(StandardCharsets.UTF_8)
        .replaceAll("(?m)^(ToolChecks\\$ToolExit: )?exit \\d+\\R", "");
    if (code != 0 || thrown != null) {
      String command = className + " " + String.join(" ", arguments);
      throw new AssertionError(command + " ended with " + (thrown == null ? code : thrown) + "\n" + text, thrown);
    }
    return text;
  }

  private void topics() throws Exception {
    tool(TOPICS, "--create", "--topic", topic, "--partitions", "2", "--replication-factor",
        String.valueOf(Suite.REPLICAS), "--config",
        "retention.ms=3600000");
    Suite.expectContains(tool(TOPICS, "--describe", "--topic", topic), "PartitionCount: 2", "ReplicationFactor: " + Suite.REPLICAS,
        "retention.ms=3600000", "Leader: ", "Isr: ");
    tool(TOPICS, "--alter", "--topic", topic, "--partitions", "3");
    Suite.waitFor(5_000, "3 partitions",
        () -> tool(TOPICS, "--describe", "--topic", topic).contains("PartitionCount: 3"));
    Suite.expectContains(tool(TOPICS, "--list"), topic);
    Suite.expectEqual(tool(TOPICS, "--describe", "--under-replicated-partitions").strip(), "", "under-replicated");
    tool(TOPICS, "--create", "--topic", topic + "-gone");
    tool(TOPICS, "--delete", "--topic", topic + "-gone");
    Suite.waitFor(10_000, "the topic is gone", () -> !tool(TOPICS, "--list").contains(topic + "-gone"));
  }

  private void console() throws Exception {
    plainTool("a:1\nb:2\nc:3\n", TOOLS + "ConsoleProducer", "--bootstrap-server", Suite.BOOTSTRAP, "--topic", topic,
        "--reader-property", "parse.key=true", "--reader-property", "key.separator=:", "--compression-codec", "lz4");
    String printed = tool(TOOLS + "consumer.ConsoleConsumer", "--topic", topic, "--from-beginning", "--max-messages",
        "3", "--timeout-ms", "20000", "--formatter-property", "print.key=true", "--group", topic);
    Suite.expectContains(printed, "a\t1", "b\t2", "c\t3", "Processed a total of 3 messages");
  }

  private void offsets() throws Exception {
    String class_ = TOOLS + "GetOffsetShell";
    for (String time : List.of("-1", "-2", "earliest", "latest", "max-timestamp")) {
      String printed = tool(class_, "--topic", topic, "--time", time);
      int sum = sumOfOffsets(topic, printed);
      if (time.equals("-1") || time.equals("latest")) Suite.expectEqual(sum, 3, "sum of ends in " + printed);
      if (time.equals("-2") || time.equals("earliest")) Suite.expectEqual(sum, 0, "sum of begins in " + printed);
    }
  }

  private static int sumOfOffsets(String topic, String printed) {
    int sum = 0;
    Matcher line = Pattern.compile(Pattern.quote(topic) + ":\\d:(\\d+)").matcher(printed);
    while (line.find()) sum += Integer.parseInt(line.group(1));
    return sum;
  }

  private static int endOffsets(String topic) throws Exception {
    return sumOfOffsets(topic, tool(TOOLS + "GetOffsetShell", "--topic", topic));
  }

  private void groups() throws Exception {
    Suite.expectContains(tool(GROUPS, "--list"), topic);
    Suite.expectContains(tool(GROUPS, "--describe", "--group", topic), "LAG", topic);
    Suite.expectContains(tool(GROUPS, "--describe", "--group", topic, "--state"), "Empty");
    Suite.expectContains(tool(GROUPS, "--describe", "--all-groups"), topic);
    Suite.expectContains(tool(GROUPS, "--list", "--state"), "Empty");
    Suite.expectContains(tool(GROUPS, "--group", topic, "--reset-offsets", "--to-earliest", "--topic", topic,
        "--execute"), topic, " 0");
    Suite.expectContains(tool(GROUPS, "--group", topic, "--reset-offsets", "--to-latest", "--all-topics",
        "--dry-run"), topic);
    Suite.expectContains(tool(GROUPS, "--group", topic, "--delete-offsets", "--topic", topic), "Successful");
    Suite.expectContains(tool(GROUPS, "--delete", "--group", topic), "successful");
  }

  private void configs() throws Exception {
    String[] entity = {"--entity-type", "topics", "--entity-name", topic};
    tool(CONFIGS, with(entity, "--alter", "--add-config", "retention.ms=7200000,cleanup.policy=[compact,delete]"));
    Suite.expectContains(tool(CONFIGS, with(entity, "--describe")), "retention.ms=7200000", "DYNAMIC_TOPIC_CONFIG",
        "cleanup.policy=compact,delete");
    tool(CONFIGS, with(entity, "--alter", "--delete-config", "cleanup.policy"));
    Suite.expectContains(tool(CONFIGS, with(entity, "--describe", "--all")), "cleanup.policy=delete",
        "segment.bytes=1073741824");
    Suite.expectContains(tool(CONFIGS, "--describe", "--entity-type", "brokers", "--entity-name", "1", "--all"),
        "log.retention.hours", "num.partitions=1");
  }

  private static long baseOffset(Path file) {
    return Long.parseLong(file.getFileName().toString().substring(0, 20));
  }

  private static String[] with(String[] first, String... more) {
    return Stream.concat(Stream.of(first), Stream.of(more)).toArray(String[]::new);
  }

  private void deleteRecords() throws Exception {
    Path file = Files.createTempFile("delete-records", ".json");
    Files.writeString(file, "{\"version\":1,\"partitions\":[{\"topic\":\"" + topic
        + "\",\"partition\":0,\"offset\":-1}]}");
    Suite.expectContains(tool(TOOLS + "DeleteRecordsCommand", "--offset-json-file", file.toString()),
        "partition: " + topic + "-0\tlow_watermark: ");
    Files.delete(file);
  }

  private void logDirs() throws Exception {
    String printed = tool(TOOLS + "LogDirsCommand", "--describe", "--topic-list", topic);
    Suite.expectContains(printed, "\"partition\":\"" + topic + "-0\"", "\"logDir\"", "\"error\":null");
  }

  private void performance() throws Exception {
    tool(TOPICS, "--create", "--topic", perfTopic, "--partitions", "3", "--config", "segment.bytes=1048576",
        "--config", "index.interval.bytes=1024");
    String produced = plainTool("", TOOLS + "ProducerPerformance", "--topic", perfTopic, "--num-records", "20000",
        "--record-size", "500", "--throughput", "-1", "--bootstrap-server", Suite.BOOTSTRAP, "--command-property",
        "acks=all");
    Suite.expectContains(produced, "20000 records sent", "99.9th");
    String consumed = tool(TOOLS + "ConsumerPerformance", "--topic", perfTopic, "--num-records", "20000",
        "--timeout", "20000");
    Suite.expect(Pattern.compile(", 2\\d{4}, ").matcher(consumed).find(), consumed);
  }

  private void verifiable() throws Exception {
    String name = Suite.PREFIX + "-verifiable";
    tool(TOPICS, "--create", "--topic", name, "--partitions", "2");
    String produced = tool(TOOLS + "VerifiableProducer", "--topic", name, "--max-messages", "1000",
        "--throughput", "-1", "--acks", "-1");
    Suite.expectContains(produced, "startup_complete");
    Suite.waitFor(10_000, "1000 records", () -> endOffsets(name) == 1000);
    String consumed = tool(TOOLS + "VerifiableConsumer", "--topic", name, "--group-id", name, "--max-messages",
        "1000", "--reset-policy", "earliest", "--group-protocol", "classic");
    Suite.expectContains(consumed, "partitions_assigned", "offsets_committed", "\"success\":true");
  }

  private void cluster() throws Exception {
    Suite.expectContains(tool(TOOLS + "BrokerApiVersionsCommand"), "Produce(0)", "usable", "ApiVersions(18)");
    Suite.expectContains(
        plainTool("", TOOLS + "ClusterTool", "cluster-id", "--bootstrap-server", Suite.BOOTSTRAP), "Cluster ID: ");
    Suite.expectContains(tool(TOOLS + "GroupsCommand", "--list"), "GROUP");
  }

  /**
   * The dump tool stumbles over the index of a segment without records, and takes the zeros behind
   * the last entry of a preallocated index (10 MB, as Kafka's active ones) for entries.
   */
  private static boolean isUnreadableIndex(Path file) throws Exception {
    String name = file.getFileName().toString();
    if (!name.endsWith("index")) return false;
    Path log = file.resolveSibling(name.substring(0, 20) + ".log");
    return (Files.exists(log) && Files.size(log) == 0) || Files.size(file) > 10_000_000;
  }

  private static File[] filesIn(File directory) {
    File[] found = directory.listFiles();
    return found == null ? new File[0] : found;
  }

  /** Every file that Kafka's own dump tool understands, of the partitions that begin with `prefix`. */
  private void dumpAll(String prefix, String decoder) throws Exception {
    // Other clients delete topics meanwhile: a directory that has gone has no files.
    List<Path> files = new ArrayList<>();
    for (File directory : filesIn(new File(Suite.DATA_DIRECTORY))) {
      String name = directory.getName();
      if (!name.startsWith(prefix) || name.endsWith("-delete")) continue;
      for (File file : filesIn(directory)) {
        if (file.getName().matches("\\d{20}\\.(log|index|timeindex|txnindex|snapshot)")) files.add(file.toPath());
      }
    }
    files.sort(null);
    if (prefix.isEmpty()) Suite.expect(files.size() > 20, "only " + files.size() + " files");
    Suite.expect(!files.isEmpty(), "no files of " + prefix);
    StringBuilder complaints = new StringBuilder();
    for (Path file : files) {
      if (!Files.exists(file) || isUnreadableIndex(file)) continue;
      List<String> arguments = new ArrayList<>(List.of("--files", file.toString()));
      if (file.toString().endsWith(".log")) arguments.add(decoder);
      String printed;
      try {
        printed = plainTool("", TOOLS + "DumpLogSegments", arguments.toArray(new String[0]));
      } catch (AssertionError error) {
        if (!Files.exists(file)) continue; // retention was quicker
        throw error;
      }
      for (String line : printed.split("\n")) {
        boolean isRecord = line.startsWith("| offset:") && !decoder.equals("--deep-iteration");
        // The tool expects each file to begin at offset 0, so a later segment's begin is not a gap.
        if (line.startsWith("Non-consecutive offsets in")) continue;
        Matcher gap = FOLLOWED.matcher(line);
        boolean isGap = gap.find() && Long.parseLong(gap.group(2)) != baseOffset(file);
        if (isGap || !isRecord && COMPLAINTS.matcher(line).find()) complaints.append(file).append(": ").append(line).append('\n');
      }
    }
    Suite.expectEqual(complaints.toString(), "", "complaints");
  }
}
