import assert from "node:assert/strict";
import type { JsonObject } from "@bufbuild/protobuf";
import { managerSetup, meshSetup, toBackend } from "./configured.ts";
import { Backend, TestProxy } from "./harness.ts";

const add = (headers: Record<string, string>): JsonObject[] =>
  Object.entries(headers).map(([key, value]) => ({ header: { key, value } }));

Deno.test("added headers tell of the request, the response and the connection", async () => {
  await using backend = new Backend((request) =>
    Response.json(Object.fromEntries(request.headers), { status: 201, headers: { "x-made": "by upstream" } })
  );
  const route: JsonObject = {
    ...toBackend,
    name: "main",
    requestHeadersToAdd: add({
      "x-client": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% over %PROTOCOL%",
      "x-what": "%REQ(:METHOD)% %REQ(:PATH)% at %REQ(:AUTHORITY)%, 100%%",
      "x-either": "%REQ(X-Missing?X-Given):3%",
      "x-none": "%REQ(x-missing)%",
      "x-route": "%ROUTE_NAME% to %UPSTREAM_CLUSTER%",
      "x-time": "%START_TIME%",
    }),
    responseHeadersToAdd: add({
      "x-status": "%RESPONSE_CODE%",
      "x-copy": "%RESP(x-made)%",
      "x-echo": "%REQ(x-given)%",
      "x-host": "%UPSTREAM_HOST%",
    }),
  };
  const { port, setup } = managerSetup({}, [route], { backend: [backend.port] });
  await using _ = await TestProxy.start(setup);
  for (const given of ["value", "other"]) {
    const response = await fetch(`http://127.0.0.1:${port}/a?b=c`, { headers: { "x-given": given } });
    const seen = await response.json();
    assert.equal(seen["x-client"], "127.0.0.1 over HTTP/1.1");
    assert.equal(seen["x-what"], `GET /a?b=c at 127.0.0.1:${port}, 100%`);
    assert.equal(seen["x-either"], given.slice(0, 3));
    assert.equal(seen["x-none"], undefined);
    assert.equal(seen["x-route"], "main to backend");
    assert.ok(Math.abs(Date.parse(seen["x-time"]) - Date.now()) < 60_000);
    assert.equal(response.headers.get("x-status"), "201");
    assert.equal(response.headers.get("x-copy"), "by upstream");
    assert.equal(response.headers.get("x-echo"), given);
    assert.equal(response.headers.get("x-host"), `127.0.0.1:${backend.port}`);
  }
});

Deno.test("a VirtualService may use command operators", async () => {
  await using backend = new Backend((request) => new Response(request.headers.get("x-from")));
  const rules = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: reviews }
spec:
  hosts: [reviews]
  http:
    - headers: { request: { set: { x-from: "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%" } } }
      route: [{ destination: { host: reviews } }]
`;
  const { port, setup } = meshSetup(rules, { reviews: backend.port });
  await using _ = await TestProxy.start(setup);
  const client = Deno.createHttpClient({ proxy: { url: `http://127.0.0.1:${port}` } });
  const response = await fetch("http://reviews:9080/", { client, headers: { "x-from": "forged" } });
  assert.equal(await response.text(), "127.0.0.1");
  client.close();
});
