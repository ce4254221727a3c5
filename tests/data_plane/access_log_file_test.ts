import assert from "node:assert/strict";
import { TestProxy } from "./harness.ts";
import { answering, exchangeUntilEnd, RawBackend, RawConnection, until } from "./raw_sockets.ts";

async function logged(path: string, count: number): Promise<string[]> {
  const lines = () => {
    try {
      return Deno.readTextFileSync(path).split("\n").slice(0, -1);
    } catch {
      return [];
    }
  };
  await until(() => lines().length >= count, () => `${count} lines in ${JSON.stringify(lines())}`);
  return lines();
}

Deno.test("each request is a line, from all workers in one file, whole", async () => {
  const directory = await Deno.makeTempDir();
  const path = `${directory}/access.log`;
  using backend = answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  const listener = { accessLog: [{ path, format: null, json: null }] };
  const { proxy, port } = await TestProxy.simple([backend.port], { listener }, 2);
  await using _ = proxy;
  const requests = Array.from(
    { length: 40 },
    (_, i) =>
      exchangeUntilEnd(
        port,
        `GET /${i} HTTP/1.1\r\nHost: a.example\r\nUser-Agent: x"y\r\nX-Request-Id: id-${i}\r\nConnection: close\r\n\r\n`,
      ),
  );
  await Promise.all(requests);
  const lines = await logged(path, 40);
  assert.equal(lines.length, 40);
  for (const line of lines) {
    assert.match(
      line,
      /^\[\d{4}-\d\d-\d\dT[\d:.]+Z\] "GET \/(\d+) HTTP\/1\.1" 200 - 0 2 \d+ \d+ "-" "x\\x22y" "id-\1" "a\.example" "127\.0\.0\.1:\d+"$/,
    );
  }
  assert.equal(new Set(lines.map((line) => /"GET \/(\d+)/.exec(line)![1])).size, 40);
  await Deno.remove(directory, { recursive: true });
});

Deno.test("refused and unfinished requests are logged with their flags", async () => {
  const directory = await Deno.makeTempDir();
  const path = `${directory}/access.log`;
  using backend = new RawBackend();
  const listener = {
    accessLog: [{
      path,
      format: null,
      json: { code: "%RESPONSE_CODE%", flags: "%RESPONSE_FLAGS%", id: "%REQ(X-REQUEST-ID)%" },
    }],
  };
  const { proxy, port } = await TestProxy.simple([backend.port], { listener, action: { timeout: 50 } });
  await using _ = proxy;
  const answer = await exchangeUntilEnd(port, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  assert.match(answer, /^HTTP\/1\.1 504 /);
  {
    using client = await RawConnection.connect(port);
    const before = backend.connections.length;
    await client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n");
    await until(() => backend.connections.length > before, "the request");
  }
  const lines = (await logged(path, 2)).map((line) => JSON.parse(line));
  assert.deepEqual(lines.map(({ code, flags }) => [code, flags]), [["504", "UT"], ["0", "DC"]]);
  for (const { id } of lines) assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  await Deno.remove(directory, { recursive: true });
});

Deno.test("a log that cannot be written costs no request", async () => {
  using backend = answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  const listener = { accessLog: [{ path: "/nonexistent/access.log", format: null, json: null }] };
  const { proxy, port } = await TestProxy.simple([backend.port], { listener });
  await using _ = proxy;
  for (let i = 0; i < 3; i++) {
    assert.match(await exchangeUntilEnd(port, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), /ok$/);
  }
});
