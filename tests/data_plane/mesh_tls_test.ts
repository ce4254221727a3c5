import assert from "node:assert/strict";
import { rawExchange } from "./harness.ts";
import { identity, Mesh, setSecrets, sni, testEachWay } from "./mesh.ts";

testEachWay("a request travels by both identities, and the application learns who calls", async (way) => {
  await using mesh = await Mesh.start((request) => new Response(request.headers.get("x-forwarded-client-cert")), {
    way,
  });
  const response = await fetch(`http://127.0.0.1:${mesh.outboundPort}/`, {
    headers: { "x-forwarded-client-cert": "URI=spiffe://cluster.local/ns/default/sa/admin" },
  });
  assert.match(
    await response.text(),
    /^By=spiffe:\/\/cluster\.local\/ns\/default\/sa\/reviews;Hash=[0-9a-f]{64};Subject="";URI=spiffe:\/\/cluster\.local\/ns\/default\/sa\/productpage$/,
  );
  const series = mesh.series().filter((one) => one.metric === "istio_requests_total");
  for (const reporter of ["source", "destination"]) {
    const labels = series.find((one) => one.labels.reporter === reporter)!.labels;
    assert.equal(labels.source_principal, "spiffe://cluster.local/ns/default/sa/productpage");
    assert.equal(labels.destination_principal, "spiffe://cluster.local/ns/default/sa/reviews");
    assert.equal(labels.response_code, "200");
  }
});

testEachWay("large bodies pass through two proxies unchanged", async (way) => {
  await using mesh = await Mesh.start((request) => new Response(request.body), { way });
  const body = new Uint8Array(3_000_000).map((_, i) => i * 7 + (i >> 9));
  const response = await fetch(`http://127.0.0.1:${mesh.outboundPort}/`, { method: "POST", body });
  assert.deepEqual(new Uint8Array(await response.arrayBuffer()), body);
});

testEachWay("a server whose identity is not the expected one gets no request", async (way) => {
  await using mesh = await Mesh.start(() => new Response("reached"), {
    way,
    expected: ["spiffe://cluster.local/ns/default/sa/ratings"],
  });
  const response = await fetch(`http://127.0.0.1:${mesh.outboundPort}/`);
  assert.equal(response.status, 503);
  await response.body?.cancel();
  assert.equal(mesh.backend.requests, 0);
});

Deno.test("without TLS or without a client certificate nobody gets in", async () => {
  await using mesh = await Mesh.start(() => new Response("reached"));
  assert.equal(await rawExchange(mesh.inboundPort, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"), "");
  const openssl = new Deno.Command("openssl", {
    args: ["s_client", "-connect", `127.0.0.1:${mesh.inboundPort}`, "-servername", sni, "-alpn", "istio-http/1.1"],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = openssl.stdin.getWriter();
  await writer.write(new TextEncoder().encode("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
  const timer = setTimeout(() => writer.close().catch(() => {}), 500);
  const { stdout, stderr } = await openssl.output();
  clearTimeout(timer);
  const text = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  assert.match(text, /certificate required/);
  assert.equal(mesh.backend.requests, 0);
});

testEachWay("certificates are replaced under load without a failed request", async (way) => {
  await using mesh = await Mesh.start(() => new Response("ok"), { way });
  let failed = 0;
  let done = 0;
  let stop = false;
  const load = Array.from({ length: 8 }, async () => {
    while (!stop) {
      const response = await fetch(`http://127.0.0.1:${mesh.outboundPort}/`);
      if (response.status !== 200 || await response.text() !== "ok") failed++;
      done++;
    }
  });
  for (let round = 0; round < 5; round++) {
    const before = done;
    const bundle = mesh.authority.trustBundle();
    await setSecrets(mesh.proxy, "productpage", await identity(mesh.authority, "productpage"), bundle);
    await setSecrets(mesh.receiver, "reviews", await identity(mesh.authority, "reviews"), bundle);
    while (done < before + 50) await new Promise((resolve) => setTimeout(resolve, 5));
  }
  stop = true;
  await Promise.all(load);
  assert.equal(failed, 0);
});
