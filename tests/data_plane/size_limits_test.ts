import assert from "node:assert/strict";
import type { JsonObject } from "@bufbuild/protobuf";
import { httpFilterType, managerSetup, toBackend } from "./configured.ts";
import { Backend, rawExchange, TestProxy } from "./harness.ts";

const name = "envoy.filters.http.buffer";
const buffer = (maxRequestBytes: number): JsonObject => ({
  name,
  typedConfig: { "@type": httpFilterType("buffer.v3.Buffer"), maxRequestBytes },
});
const onRoute = (config: JsonObject): JsonObject => ({
  typedPerFilterConfig: { [name]: { "@type": httpFilterType("buffer.v3.BufferPerRoute"), ...config } },
});

interface Front {
  port: number;
  backend: Backend;
  proxy: TestProxy;
}

async function front(manager: JsonObject, routes: JsonObject[], use: (front: Front) => Promise<void>): Promise<void> {
  await using backend = new Backend(async (request) => {
    const length = request.headers.get("content-length");
    return new Response(`${(await request.bytes()).length} ${length}`);
  });
  const { port, setup } = managerSetup(manager, routes, { backend: [backend.port] });
  await using proxy = await TestProxy.start(setup);
  await use({ port, backend, proxy });
}

async function post(port: number, size: number, chunked = false, path = "/"): Promise<string> {
  const bytes = new Uint8Array(size);
  const body = chunked
    ? new ReadableStream<Uint8Array>({
      start(controller) {
        for (let i = 0; i < size; i += 10_000) controller.enqueue(bytes.subarray(i, Math.min(size, i + 10_000)));
        controller.close();
      },
    })
    : bytes;
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { method: "POST", body });
  return `${response.status} ${await response.text()}`;
}

Deno.test("a request up to the limit goes on whole, with its length; a larger one is refused with 413", async () => {
  const limit = 200_000;
  await front({ httpFilters: [buffer(limit)] }, [toBackend], async ({ port, backend, proxy }) => {
    for (const chunked of [false, true]) {
      for (const size of [1, 70_000, limit]) assert.equal(await post(port, size, chunked), `200 ${size} ${size}`);
    }
    assert.equal(backend.requests, 6);
    const head = "POST / HTTP/1.1\r\nHost: a\r\n";
    const declared = await rawExchange(port, `${head}Content-Length: ${limit + 1}\r\n\r\n`, 1000);
    assert.match(declared, /^HTTP\/1\.1 413 [^]*\r\nconnection: close\r\n[^]*Payload Too Large$/);
    const chunk = `4000\r\n${"x".repeat(0x4000)}\r\n`;
    const sent = await rawExchange(port, `${head}Transfer-Encoding: chunked\r\n\r\n${chunk.repeat(13)}`, 1000);
    assert.match(sent, /^HTTP\/1\.1 413 /);
    assert.equal(backend.requests, 6);
    assert.deepEqual(proxy.recorded(), { "200 -": 6, "413 -": 2 });
  });
});

Deno.test("nothing reaches the upstream before the request is whole", async () => {
  await front({ httpFilters: [buffer(1000)] }, [toBackend], async ({ port, backend }) => {
    const connection = await Deno.connect({ hostname: "127.0.0.1", port });
    const send = (text: string) => connection.write(new TextEncoder().encode(text));
    await send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\nhalf");
    assert.match(await rawExchange(port, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 1000), / 200 /);
    assert.equal(backend.requests, 1);
    await send("rest");
    const reply = new Uint8Array(1000);
    assert.match(new TextDecoder().decode(reply.subarray(0, await connection.read(reply) ?? 0)), /\r\n\r\n8 8$/);
    connection.close();
    assert.equal(backend.requests, 2);
  });
});

Deno.test("a route has its own limit, or none", async () => {
  const routes = [
    { ...toBackend, match: { prefix: "/small" }, ...onRoute({ buffer: { maxRequestBytes: 10 } }) },
    { ...toBackend, match: { prefix: "/any" }, ...onRoute({ disabled: true }) },
    toBackend,
  ];
  await front({ httpFilters: [buffer(1000)] }, routes, async ({ port }) => {
    assert.match(await post(port, 11, false, "/small"), /^413 /);
    assert.match(await post(port, 10, false, "/small"), /^200 /);
    assert.match(await post(port, 100_000, false, "/any"), /^200 /);
    assert.match(await post(port, 1000), /^200 /);
  });
});

Deno.test("a caller that leaves while its request is collected leaves nothing behind", async () => {
  await front({ httpFilters: [buffer(1000)] }, [toBackend], async ({ port, backend, proxy }) => {
    const connection = await Deno.connect({ hostname: "127.0.0.1", port });
    await connection.write(new TextEncoder().encode("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\nhalf"));
    connection.close();
    while (proxy.recorded()["0 DC"] === undefined) await new Promise((resolve) => setTimeout(resolve, 5));
    assert.equal(backend.requests, 0);
  });
});

Deno.test("heads beyond the limits in bytes or in number are refused with 431", async () => {
  const manager = { maxRequestHeadersKb: 4, commonHttpProtocolOptions: { maxHeadersCount: 5 } };
  await front(manager, [toBackend], async ({ port, backend }) => {
    const ask = (lines: string) =>
      rawExchange(port, `GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${lines}\r\n`, 1000);
    assert.match(await ask("A: b\r\nC: d\r\nE: f\r\n"), /^HTTP\/1\.1 200 /);
    assert.match(await ask("A: b\r\nC: d\r\nE: f\r\nG: h\r\n"), /^HTTP\/1\.1 431 /);
    assert.match(await ask(`A: ${"b".repeat(4000)}\r\n`), /^HTTP\/1\.1 200 /);
    assert.match(await ask(`A: ${"b".repeat(4096)}\r\n`), /^HTTP\/1\.1 431 /);
    assert.equal(backend.requests, 2);
  });
});
