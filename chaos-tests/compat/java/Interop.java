import org.apache.kafka.common.utils.Exit;

/** Apache Kafka's Java clients and tools against one node, all in this JVM. */
public final class Interop {
  private Interop() {}

  public static void main(String[] arguments) throws Exception {
    // The tools end with System.exit and leave hooks behind: here neither may happen.
    Exit.setExitProcedure((code, message) -> {
      throw ToolChecks.exit(code, message);
    });
    Exit.setShutdownHookAdder((name, hook) -> ToolChecks.HOOKS.add(hook));
    ClientChecks clients = new ClientChecks();
    clients.run();
    new ToolChecks().run();
    new ClusterToolChecks().run();
    clients.cross();
    System.out.flush();
    Runtime.getRuntime().halt(0);
  }
}
