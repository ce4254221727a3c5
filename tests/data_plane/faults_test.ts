import assert from "node:assert/strict";
import type { FaultConfig } from "../../agent/config/model.ts";
import { Backend, forwardTo, route, routes, simpleSetup, TestProxy } from "./harness.ts";
import { freePort } from "./harness.ts";
import { RawConnection, until } from "./raw_sockets.ts";

const always = { numerator: 100, denominator: 100 } as const;

async function proxyWith(
  backend: Backend,
  fault: FaultConfig,
  timeout = 0,
): Promise<{ proxy: TestProxy; port: number }> {
  const port = freePort();
  const faulty = route({ fault, action: forwardTo("backend", { timeout }) });
  const proxy = await TestProxy.start({ ...simpleSetup(port, [backend.port]), routes: [routes([faulty])] });
  return { proxy, port };
}

Deno.test("an abort answers in the upstream's place", async () => {
  await using backend = new Backend(() => new Response("reached"));
  const abort = { httpStatus: 418, grpcStatus: null, percentage: always };
  const { proxy, port } = await proxyWith(backend, { delay: null, abort });
  await using _ = proxy;
  const response = await fetch(`http://127.0.0.1:${port}/`);
  assert.equal(response.status, 418);
  assert.equal(await response.text(), "fault filter abort");
  assert.equal(backend.requests, 0);
  assert.deepEqual(proxy.recorded(), { "418 FI": 1 });
});

Deno.test("a gRPC caller gets the abort as grpc-status", async () => {
  await using backend = new Backend(() => new Response("reached"));
  const abort = { httpStatus: 0, grpcStatus: 14, percentage: always };
  const { proxy, port } = await proxyWith(backend, { delay: null, abort });
  await using _ = proxy;
  const response = await fetch(`http://127.0.0.1:${port}/`, { headers: { "content-type": "application/grpc" } });
  await response.body?.cancel();
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("grpc-status"), "14");
});

Deno.test("a delay goes before the request and is not part of the route's timeout", async () => {
  await using backend = new Backend(async (request) => new Response(await request.text()));
  const delay = { duration: 700, percentage: always };
  const { proxy, port } = await proxyWith(backend, { delay, abort: null }, 650);
  await using _ = proxy;
  for (const init of [{}, { method: "POST", body: "hello" }]) {
    const started = performance.now();
    const response = await fetch(`http://127.0.0.1:${port}/`, init);
    assert.equal(response.status, 200);
    assert.equal(await response.text(), init.body ?? "");
    assert.ok(performance.now() - started >= 690);
  }
  assert.deepEqual(proxy.recorded(), { "200 DI": 2 });
});

Deno.test("a delay can be followed by an abort, and both are recorded", async () => {
  await using backend = new Backend(() => new Response("reached"));
  const fault = {
    delay: { duration: 20, percentage: always },
    abort: { httpStatus: 503, grpcStatus: null, percentage: always },
  };
  const { proxy, port } = await proxyWith(backend, fault);
  await using _ = proxy;
  const response = await fetch(`http://127.0.0.1:${port}/`);
  await response.text();
  assert.deepEqual(proxy.recorded(), { "503 DI,FI": 1 });
});

Deno.test("percentages hold within six standard deviations", async () => {
  await using backend = new Backend(() => new Response("ok"));
  const abort = { httpStatus: 500, grpcStatus: null, percentage: { numerator: 3000, denominator: 10_000 } as const };
  const { proxy, port } = await proxyWith(backend, { delay: null, abort });
  await using _ = proxy;
  for (let i = 0; i < 500; i++) await (await fetch(`http://127.0.0.1:${port}/`)).text();
  const aborted = proxy.recorded()["500 FI"];
  assert.ok(aborted > 150 - 62 && aborted < 150 + 62, `${aborted}`);
});

Deno.test("a caller that leaves during a delay starts nothing", async () => {
  await using backend = new Backend(() => new Response("ok"));
  const delay = { duration: 1000, percentage: always };
  const { proxy, port } = await proxyWith(backend, { delay, abort: null });
  await using _ = proxy;
  using client = await RawConnection.connect(port);
  await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  await new Promise((resolve) => setTimeout(resolve, 20));
  client.close();
  await until(() => proxy.recorded()["0 DI,DC"] === 1, () => JSON.stringify(proxy.recorded()));
  await (await fetch(`http://127.0.0.1:${port}/`)).text();
  assert.equal(backend.requests, 1);
});
