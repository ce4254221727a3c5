import assert from "node:assert/strict";
import {
  Backend,
  cluster,
  endpoint,
  endpoints,
  freePort,
  listener,
  rawExchange,
  route,
  routes,
  TestProxy,
} from "./harness.ts";

async function proxyTo(backend: Backend): Promise<{ proxy: TestProxy; port: number }> {
  const port = freePort();
  const proxy = await TestProxy.start({
    clusters: [cluster()],
    endpoints: [endpoints("backend", [endpoint(backend.port)])],
    routes: [routes([route()])],
    listeners: [listener(port)],
  });
  return { proxy, port };
}

Deno.test("a request is forwarded and its response comes back", async () => {
  await using backend = new Backend((request) =>
    new Response(`${request.method} ${new URL(request.url).pathname} ${request.headers.get("x-test")}`, {
      status: 201,
      headers: { "x-answer": "yes" },
    })
  );
  const { proxy, port } = await proxyTo(backend);
  await using _ = proxy;
  const response = await fetch(`http://127.0.0.1:${port}/a/b?c=d`, { headers: { "X-Test": "value" } });
  assert.equal(response.status, 201);
  assert.equal(await response.text(), "GET /a/b value");
  assert.equal(response.headers.get("x-answer"), "yes");
  assert.equal(response.headers.get("server"), "skiff");
  assert.match(response.headers.get("x-envoy-upstream-service-time")!, /^\d+$/);
});

Deno.test("bodies of every size and framing pass unchanged both ways", async () => {
  await using backend = new Backend(async (request) => new Response(await request.bytes()));
  const { proxy, port } = await proxyTo(backend);
  await using _ = proxy;
  for (const size of [0, 1, 1000, 65_536, 300_000, 5_000_000]) {
    const body = new Uint8Array(size).map((_, i) => i * 31 + (i >> 8));
    const response = await fetch(`http://127.0.0.1:${port}/`, { method: "POST", body });
    assert.deepEqual(new Uint8Array(await response.arrayBuffer()), body, `content-length, ${size} bytes`);
    const chunks = new ReadableStream({
      start(controller) {
        for (let i = 0; i < size; i += 7001) controller.enqueue(body.subarray(i, Math.min(size, i + 7001)));
        controller.close();
      },
    });
    const chunked = await fetch(`http://127.0.0.1:${port}/`, { method: "POST", body: chunks });
    assert.deepEqual(new Uint8Array(await chunked.arrayBuffer()), body, `chunked, ${size} bytes`);
  }
});

Deno.test("pipelined requests are answered in order on one connection", async () => {
  await using backend = new Backend((request) => new Response(new URL(request.url).pathname));
  const { proxy, port } = await proxyTo(backend);
  await using _ = proxy;
  const text = await rawExchange(
    port,
    ["/one", "/two", "/three"].map((path) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`).join(""),
  );
  assert.deepEqual([...text.matchAll(/\r\n\r\n(\/(?:one|two|three))/g)].map((match) => match[1]), [
    "/one",
    "/two",
    "/three",
  ]);
});

Deno.test("a head that arrives byte by byte is understood", async () => {
  await using backend = new Backend(() => new Response("whole"));
  const { proxy, port } = await proxyTo(backend);
  await using _ = proxy;
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  for (const byte of new TextEncoder().encode("GET / HTTP/1.1\r\nHost: a\r\nX-Y: z\r\n\r\n")) {
    await connection.write(new Uint8Array([byte]));
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  const buffer = new Uint8Array(4096);
  const count = await connection.read(buffer);
  assert.match(new TextDecoder().decode(buffer.subarray(0, count!)), /^HTTP\/1\.1 200 OK\r\n/);
});

Deno.test("no host, no route, no cluster and no endpoint are told apart as Envoy tells them", async () => {
  const port = freePort();
  await using _proxy = await TestProxy.start({
    clusters: [cluster(), cluster({ name: "refused" })],
    endpoints: [endpoints("backend", []), endpoints("refused", [endpoint(freePort())])],
    routes: [
      {
        name: "routes",
        virtualHosts: [
          { name: "empty", domains: ["empty"], routes: [route()] },
          { name: "none", domains: ["none"], routes: [] },
          {
            name: "unknown",
            domains: ["unknown"],
            routes: [route({
              action: {
                ...route().action as object,
                clusters: [{
                  name: "missing",
                  weight: 1,
                  requestHeaders: { set: [], remove: [] },
                  responseHeaders: { set: [], remove: [] },
                }],
              } as never,
            })],
          },
        ],
      },
    ],
    listeners: [listener(port)],
  });
  const status = async (host: string) =>
    (await rawExchange(port, `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)).split("\r\n")[0];
  assert.equal(await status("elsewhere"), "HTTP/1.1 404 Not Found");
  assert.equal(await status("none"), "HTTP/1.1 404 Not Found");
  assert.equal(await status("unknown"), "HTTP/1.1 503 Service Unavailable");
  assert.equal(await status("empty"), "HTTP/1.1 503 Service Unavailable");
});
