import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;

/** What the Java checks share: settings, one JSON line a check on the real stdout, expectations. */
final class Suite {
  interface Check {
    void run() throws Exception;
  }

  interface Condition {
    boolean holds() throws Exception;
  }

  static final String BOOTSTRAP = System.getenv().getOrDefault("INTEROP_BOOTSTRAP", "");
  static final String CLIENT = System.getProperty("interop.client", "java");
  static final String PREFIX = System.getenv().getOrDefault("INTEROP_RUN", "run") + "-" + CLIENT;
  static final short REPLICAS = Short.parseShort(System.getenv().getOrDefault("INTEROP_REPLICAS", "1"));
  static final boolean HAS_TRANSACTIONS = "supported".equals(System.getenv("INTEROP_TRANSACTIONS"));
  static final boolean IS_FAST = "1".equals(System.getenv("INTEROP_FAST"));
  static final String DATA_DIRECTORY = System.getenv().getOrDefault("INTEROP_DATA_DIRECTORY", "");
  static final long BASE_TIMESTAMP_MS =
      Long.parseLong(System.getenv().getOrDefault("INTEROP_BASE_TIMESTAMP_MS", "0"));
  static final List<String> CODECS = List.of("none", "gzip", "snappy", "lz4", "zstd");
  static final int CROSS_COUNT = 20;

  private static final PrintStream REAL_OUT =
      new PrintStream(new FileOutputStream(FileDescriptor.out), true, StandardCharsets.UTF_8);
  private static final ObjectMapper JSON = new ObjectMapper();

  private Suite() {}

  static void say(Map<String, Object> line) throws Exception {
    REAL_OUT.println(JSON.writeValueAsString(line));
  }

  static void check(String name, Check run) throws Exception {
    long begin = System.nanoTime();
    Map<String, Object> line = new LinkedHashMap<>();
    line.put("check", name);
    try {
      run.run();
      line.put("ok", true);
    } catch (Throwable error) {
      StringWriter text = new StringWriter();
      error.printStackTrace(new PrintWriter(text));
      line.put("ok", false);
      line.put("detail", text.toString());
    }
    line.put("ms", (System.nanoTime() - begin) / 1_000_000);
    say(line);
  }

  static JsonNode readCrossSources() throws Exception {
    String line = new BufferedReader(new InputStreamReader(System.in)).readLine();
    return line == null ? JSON.createArrayNode() : JSON.readTree(line).get("cross");
  }

  static void expect(boolean condition, String message) {
    if (!condition) throw new AssertionError(message);
  }

  static void expectEqual(Object actual, Object expected, String what) {
    if (!Objects.equals(actual, expected)) {
      throw new AssertionError(what + ": got " + cut(actual) + ", expected " + cut(expected));
    }
  }

  static void expectContains(String text, String... parts) {
    for (String part : parts) expect(text.contains(part), "no '" + part + "' in: " + cut(text));
  }

  /** Expects an exception of one of these simple class names, perhaps as a cause. */
  static void expectError(Check run, String... classNames) throws Exception {
    try {
      run.run();
    } catch (Throwable error) {
      for (Throwable cause = error; cause != null; cause = cause.getCause()) {
        if (List.of(classNames).contains(cause.getClass().getSimpleName())) return;
      }
      throw new AssertionError("expected " + String.join(" or ", classNames) + ", got " + error, error);
    }
    throw new AssertionError("expected " + String.join(" or ", classNames) + ", got no error");
  }

  static void waitFor(long limitMs, String what, Condition condition) throws Exception {
    long until = System.nanoTime() + limitMs * 1_000_000;
    while (!condition.holds()) {
      if (System.nanoTime() > until) throw new AssertionError("not within " + limitMs + " ms: " + what);
      Thread.sleep(50);
    }
  }

  private static String cut(Object value) {
    String text = String.valueOf(value);
    return text.length() > 2000 ? text.substring(0, 2000) + "..." : text;
  }

  static byte[] bytes(String text) {
    return text == null ? null : text.getBytes(StandardCharsets.UTF_8);
  }

  static String text(byte[] bytes) {
    return bytes == null ? null : new String(bytes, StandardCharsets.UTF_8);
  }

  static String crossKey(int i) {
    return i % 5 == 4 ? null : "key-" + i;
  }

  static String crossValue(String codec, int i) {
    return i % 7 == 3 ? null : "value-" + codec + "-" + i + "-" + "x".repeat(i * 13);
  }
}
