/**
 * Opens kept-alive connections with mutual TLS, one request on each, says `open` and holds them until its input ends:
 * `idle_client.ts PORT COUNT AUTHORITY CERTIFICATE KEY`, the last three PEM files.
 */
const [port, count] = Deno.args.slice(0, 2).map(Number);
const [authority, cert, key] = Deno.args.slice(2).map((path) => Deno.readTextFileSync(path));
const request = new TextEncoder().encode("GET / HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n");
/** Handshakes at a time. */
const atOnce = 32;

const held: Deno.TlsConn[] = [];
const buffer = new Uint8Array(16 * 1024);
await Promise.all(Array.from({ length: atOnce }, async () => {
  while (held.length < count) {
    const connection = await Deno.connectTls({ hostname: "127.0.0.1", port, caCerts: [authority], cert, key });
    held.push(connection);
    await connection.write(request);
    if (await connection.read(buffer) === null) throw new Error("the proxy closes a connection");
  }
}));
console.log("open");
for await (const _ of Deno.stdin.readable);
Deno.exit(0);
