import assert from "node:assert/strict";
import { BookinfoMesh } from "../../scripts/demo/bookinfo_mesh.ts";
import { until } from "../../scripts/demo/harness/until.ts";

const ratings = "http://ratings:9080/ratings/0";

const telemetry = (spec: string) => `
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: { name: default, namespace: istio-system }
spec: ${spec}
`;

const timeout = 5_000;

Deno.test("a Telemetry changes metrics and access logs of running agents", async (t) => {
  await using bookinfo = await BookinfoMesh.start({ placement: [[["productpage", "v1"]], [["ratings", "v1"]]] });
  const caller = bookinfo.caller("productpage");
  const { address } = bookinfo.machine("vm-1");
  const metrics = async () => {
    const text = await (await fetch(`http://${address}:15020/stats/prometheus`)).text();
    return text.split("\n").filter((line) => line.includes('reporter="source"'));
  };

  await t.step("tags are set and removed, metrics switched off: at the caller, and not at the other side", async () => {
    bookinfo.mesh.apply(telemetry(`
  metrics:
    - overrides:
        - { match: { metric: REQUEST_COUNT, mode: CLIENT }, tagOverrides: { region: { value: "'eu'" }, source_app: { operation: REMOVE } } }
        - { match: { metric: REQUEST_SIZE }, disabled: true }`));
    const counted = await until("requests are counted with the new tag", async () => {
      await caller.get(ratings);
      return (await metrics()).find((line) => line.startsWith("istio_requests_total{") && line.includes('region="eu"'));
    }, { timeout });
    assert.doesNotMatch(counted, /source_app=/);
    assert.match(counted, /response_code="200"/);
    const of = async (metric: string) =>
      (await metrics()).filter((line) => line.startsWith(`${metric}_count{`)).map((line) =>
        Number(line.split(" ").at(-1))
      )
        .reduce((sum, value) => sum + value, 0);
    const [sizes, durations] = [await of("istio_request_bytes"), await of("istio_request_duration_milliseconds")];
    await caller.get(ratings);
    await until("the duration is counted", async () => await of("istio_request_duration_milliseconds") > durations, {
      timeout,
    });
    assert.equal(await of("istio_request_bytes"), sizes);
    const { address } = bookinfo.machine("vm-2");
    const other = await (await fetch(`http://${address}:15020/stats/prometheus`)).text();
    assert.doesNotMatch(other, /region="eu"/);
  });

  await t.step("only what the filter holds for is logged", async () => {
    const agent = bookinfo.mesh.agents.get("vm-1")!;
    await caller.get(`${ratings}?before`);
    await agent.line(/ratings:9080\/ratings\/0\?before/);
    bookinfo.mesh.apply(telemetry(`{ accessLogging: [{ filter: { expression: "response.code >= 400" } }] }`));
    await until("good requests are logged no more", async () => {
      const path = `/ratings/0?${crypto.randomUUID()}`;
      await caller.get(`http://ratings:9080${path}`);
      await caller.get(`http://nobody:9080${path}`);
      await until("the other is logged", () => agent.stdout().includes(`nobody:9080${path}`), { timeout });
      return !agent.stdout().includes(`ratings:9080${path}`);
    }, { timeout });
  });
});
