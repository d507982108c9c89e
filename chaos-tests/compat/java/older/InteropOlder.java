/** The checks of the clients alone, for versions whose tools are not here. */
public final class InteropOlder {
  private InteropOlder() {}

  public static void main(String[] arguments) throws Exception {
    ClientChecks clients = new ClientChecks();
    clients.run();
    clients.cross();
    System.out.flush();
    Runtime.getRuntime().halt(0);
  }
}
