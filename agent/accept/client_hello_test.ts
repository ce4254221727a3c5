import assert from "node:assert/strict";
import fc from "fast-check";
import { type ClientHello, clientHelloLength, INCOMPLETE, NOT_TLS, parseClientHello } from "./client_hello.ts";

/** The first bytes that `openssl s_client` sends when it is called with these arguments. */
async function capture(...args: string[]): Promise<Uint8Array> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  const child = new Deno.Command("openssl", {
    args: ["s_client", "-connect", `127.0.0.1:${port}`, ...args],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  using connection = await listener.accept();
  const bytes = new Uint8Array(16 * 1024);
  let size = 0;
  while (size < 5 || size < clientHelloLength(bytes, size)) {
    const count = await connection.read(bytes.subarray(size));
    assert.notEqual(count, null);
    size += count!;
  }
  connection.close();
  await child.status;
  return bytes.slice(0, size);
}

const sni = "outbound_.9080_.v1_.reviews.default.svc.cluster.local";

const cases: [name: string, args: string[], expected: ClientHello][] = [
  ["TLS 1.3", ["-tls1_3", "-servername", sni, "-alpn", "istio,istio-http/1.1,h2"], {
    serverName: sni,
    alpn: ["istio", "istio-http/1.1", "h2"],
  }],
  ["TLS 1.2", ["-tls1_2", "-servername", "Reviews.Example", "-alpn", "h2"], {
    serverName: "reviews.example",
    alpn: ["h2"],
  }],
  ["no server name", ["-noservername"], { serverName: "", alpn: [] }],
];

for (const [name, args, expected] of cases) {
  Deno.test(`reads the ClientHello of openssl s_client: ${name}`, async () => {
    const bytes = await capture(...args);
    assert.deepEqual(parseClientHello(bytes, bytes.length), expected);
    for (let size = 0; size < bytes.length; size++) {
      assert.equal(parseClientHello(bytes, size), INCOMPLETE, `${size} bytes of it`);
      assert.equal(clientHelloLength(bytes, size), size < 5 ? 5 : bytes.length);
    }
  });
}

/** A ClientHello with one server name entry of this type and content. */
function helloWithName(name: Uint8Array, type = 0): Uint8Array {
  const list = [type, name.length >> 8, name.length & 255, ...name];
  const extension = [0, 0, 0, list.length + 2, 0, list.length, ...list];
  const body = [3, 3, ...new Array(32).fill(7), 0, 0, 2, 0x13, 1, 1, 0, 0, extension.length, ...extension];
  const message = [1, 0, body.length >> 8, body.length & 255, ...body];
  return Uint8Array.from([22, 3, 1, message.length >> 8, message.length & 255, ...message]);
}

const ascii = (text: string) => new TextEncoder().encode(text);

Deno.test("a server name with bytes that no host name has is no server name", () => {
  const read = (name: Uint8Array, type?: number) => {
    const bytes = helloWithName(name, type);
    return (parseClientHello(bytes, bytes.length) as ClientHello).serverName;
  };
  assert.equal(read(ascii("A.b_c-d")), "a.b_c-d");
  for (const name of ["a\0.b", "a\nb", "a b", "*.a", "a/b", "ä", ""]) assert.equal(read(ascii(name)), "", name);
  assert.equal(read(ascii("a.b"), 1), "");
});

Deno.test("what does not begin like TLS is told at once", () => {
  for (
    const text of ["GET / HTTP/1.1\r\n", "\x15\x03", "\x16\x02\x01", "\x80\x2e\x01", "\x16\x03\x01\x00\x01\x01", "\0"]
  ) {
    const bytes = Uint8Array.from(text, (character) => character.charCodeAt(0));
    assert.equal(parseClientHello(bytes, bytes.length), NOT_TLS, JSON.stringify(text));
  }
  const tooLong = Uint8Array.from([22, 3, 1, 255, 255]);
  assert.equal(parseClientHello(tooLong, 5), NOT_TLS);
  const serverHello = helloWithName(ascii("a"));
  serverHello[5] = 2;
  assert.equal(parseClientHello(serverHello, serverHello.length), NOT_TLS);
});

Deno.test("no bytes make parsing throw, and lengths within a hello are not believed", () => {
  const hello = helloWithName(ascii("a.b"));
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array({ maxLength: 300 }),
        fc.array(fc.tuple(fc.nat(hello.length - 1), fc.nat(255)), { maxLength: 6 }).map((changes) => {
          const bytes = hello.slice();
          for (const [at, byte] of changes) bytes[at] = byte;
          return bytes;
        }),
      ),
      (bytes) => {
        const result = parseClientHello(bytes, bytes.length);
        if (typeof result === "number") return;
        assert.match(result.serverName, /^[a-z0-9._-]*$/);
      },
    ),
    { numRuns: 3000 },
  );
});
