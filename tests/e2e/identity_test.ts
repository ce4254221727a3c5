import assert from "node:assert/strict";
import { BookinfoMesh } from "../../scripts/demo/bookinfo_mesh.ts";
import { metricLines } from "../../scripts/demo/check/observe.ts";
import { HttpClient } from "../../scripts/demo/harness/http_client.ts";
import { runSkiff } from "../../scripts/demo/harness/skiff.ts";
import { until } from "../../scripts/demo/harness/until.ts";
import { httpProxyPort, proxyUrl, spiffeId } from "../../scripts/demo/topology.ts";

Deno.test("on an agent with several workloads, the address that a request comes in on says whose it is", async (t) => {
  await using bookinfo = await BookinfoMesh.start({
    placement: [[["productpage", "v1"], ["details", "v1"], ["reviews", "v1", "anonymous"]], [["ratings", "v1"]]],
  });

  for (const service of ["productpage", "details"]) {
    await t.step(`a request on the address of ${service} carries its identity`, async () => {
      const { status, body } = await bookinfo.caller(service).get("http://ratings:9080/headers");
      assert.equal(status, 200, body);
      const seen = JSON.parse(body).headers["x-forwarded-client-cert"];
      assert.match(seen, new RegExp(`By=${spiffeId("bookinfo-ratings")}`));
      assert.match(seen, new RegExp(`URI=${spiffeId(`bookinfo-${service}`)}`));
    });
  }

  await t.step("a request on the agent's own address is nobody's: 403, and the answer says what to set", async () => {
    const { address } = bookinfo.machine("vm-1");
    using nobody = new HttpClient(proxyUrl(address));
    const { status, body } = await nobody.get("http://ratings:9080/ratings/0");
    assert.equal(status, 403);
    assert.match(body, /localAddress/);
    const line = await bookinfo.mesh.agents.get("vm-1")!.line(/warn .*requests were refused/);
    assert.match(line, /requests=1 remedy="set spec\.workloads\[\]\.localAddress in agent\.yaml and send/);
  });

  await t.step("refusals after the first are told by the minute, not each", async () => {
    using nobody = new HttpClient(proxyUrl(bookinfo.machine("vm-1").address));
    for (let turn = 0; turn < 3; turn++) {
      assert.equal((await nobody.get("http://ratings:9080/ratings/0")).status, 403);
      await new Promise((done) => setTimeout(done, 400));
    }
    const told = bookinfo.mesh.agents.get("vm-1")!.output().match(/requests were refused/g);
    assert.equal(told?.length, 1);
  });

  await t.step("a Host header sent straight to the proxy port reaches the service", async () => {
    const address = bookinfo.localAddress("productpage");
    const connection = await Deno.connect({ hostname: address, port: httpProxyPort });
    const request = "GET /ratings/0 HTTP/1.1\r\nhost: ratings:9080\r\nconnection: close\r\n\r\n";
    await connection.write(new TextEncoder().encode(request));
    assert.match(await new Response(connection.readable).text(), /^HTTP\/1\.1 200 [^]*Reviewer1/);
  });

  await t.step("a host that the mesh does not know is not found", async () => {
    const { status } = await bookinfo.caller("productpage").get("http://ratings:8999/");
    assert.ok(status === 404 || status === 502 || status === 503, `${status}`);
  });

  await t.step("a caller outside the mesh reaches the workload at address:port", async () => {
    using outsider = bookinfo.outsider();
    const { status, body } = await outsider.get(`http://${bookinfo.machine("vm-2").address}:9080/ratings/0`);
    assert.equal(status, 200, body);
  });

  await t.step("both sides count requests with both principals", async () => {
    const source = `source_principal="${spiffeId("bookinfo-productpage")}"`;
    const destination = `destination_principal="${spiffeId("bookinfo-ratings")}"`;
    for (const reporter of ["source", "destination"]) {
      await until(`${reporter} has counted`, async () => {
        const lines = await metricLines(bookinfo, "istio_requests_total");
        return lines.some((line) =>
          line.includes(`reporter="${reporter}"`) && line.includes(source) && line.includes(destination) &&
          line.includes(`response_code="200"`)
        );
      });
    }
  });

  await t.step("proxy-status shows every workload, as a table and as JSON", async () => {
    const table = await runSkiff(["proxy-status", "--server", bookinfo.mesh.api]);
    assert.equal(table.code, 0, table.stderr);
    const lines = table.stdout.trimEnd().split("\n");
    const proxies = lines.slice(1).map((line) => line.split(" ", 1)[0]);
    const expected = ["details", "ingressgateway", "productpage", "ratings", "reviews"];
    assert.deepEqual(proxies, expected.map((name) => `${name}.default`), table.stdout);
    assert.ok(lines.every((line) => line === line.trimEnd()));
    const json = await runSkiff(["proxy-status", "--server", bookinfo.mesh.api, "-o", "json"]);
    assert.ok(JSON.parse(json.stdout), json.stdout);
    const nobody = await runSkiff(["proxy-status", "--server", "http://127.0.0.1:1"]);
    assert.equal(nobody.code, 1);
    assert.match(nobody.stderr, /no answer from the control plane at http:\/\/127\.0\.0\.1:1/);
  });
});
