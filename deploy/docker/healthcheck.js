// Healthy when this node is ready for clients; exit code 1 says that it is not.
const address = process.env.ODRADEK_HTTP_ADDRESS ?? '0.0.0.0:9644'
const port = address.slice(address.lastIndexOf(':') + 1)
fetch(`http://127.0.0.1:${port}/readyz`)
  .then((response) => process.exit(response.status === 200 ? 0 : 1))
  .catch(() => process.exit(1))
