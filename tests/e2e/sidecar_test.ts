import assert from "node:assert/strict";
import { BookinfoMesh } from "../../scripts/demo/bookinfo_mesh.ts";
import { until } from "../../scripts/demo/harness/until.ts";

const ratings = "http://ratings:9080/ratings/0";
const details = "http://details:9080/details/0";

const sidecar = (spec: string) => `
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: { name: productpage, namespace: default }
spec: ${spec}
`;

/** Reloads, validation and pushes take their time; what is asked for must come to hold within it, milliseconds. */
const timeout = 5_000;

Deno.test("of two workloads the one that a Sidecar selects gets what it names, the other everything", async (t) => {
  await using bookinfo = await BookinfoMesh.start({
    placement: [[["productpage", "v1"]], [["details", "v1"]], [["ratings", "v1"]]],
  });
  const scoped = bookinfo.caller("productpage");
  const other = bookinfo.caller("details");
  /** How often `ratings` stands in what the machine's agent has for the workload. */
  const told = async (machine: string, workload: string) => {
    const { workloads } = await (await fetch(`http://${bookinfo.machine(machine).address}:15000/config_dump`)).json();
    const configuration = workloads.find((each: { workload: string }) => each.workload === workload);
    return JSON.stringify(configuration).match(/ratings\.default\.svc/g)?.length ?? 0;
  };

  await t.step("without a Sidecar both see everything", async () => {
    for (const caller of [scoped, other]) assert.equal((await caller.get(ratings)).status, 200);
    assert.notEqual(await told("vm-1", "productpage"), 0);
  });

  await t.step("with one, what it does not name is neither reached nor known", async () => {
    bookinfo.mesh.apply(sidecar(
      `{ workloadSelector: { labels: { app: productpage } }, egress: [{ hosts: ["./details.default.svc.cluster.local"] }],
         outboundTrafficPolicy: { mode: REGISTRY_ONLY } }`,
    ));
    await until("ratings is gone", async () => (await scoped.get(ratings)).status === 502, { timeout });
    await until("the agent knows nothing of it", async () => await told("vm-1", "productpage") === 0, { timeout });
    assert.equal((await scoped.get(details)).status, 200);
    assert.equal((await other.get(ratings)).status, 200);
    assert.notEqual(await told("vm-2", "details"), 0);
  });

  await t.step("what nobody else gets goes to its egress proxy", async () => {
    const proxy = "egressProxy: { host: details, port: { number: 9080 } }";
    bookinfo.mesh.apply(sidecar(
      `{ workloadSelector: { labels: { app: productpage } }, outboundTrafficPolicy: { mode: ALLOW_ANY, ${proxy} } }`,
    ));
    const outside = "http://outside.example.com/details/0";
    await until("the proxy answers", async () => (await scoped.get(outside)).status === 200, { timeout });
    assert.notEqual((await other.get(outside)).status, 200);
    assert.equal((await scoped.get(ratings)).status, 200);
  });

  await t.step("its ingress says where callers are led", async () => {
    const port = "{ number: 9080, protocol: HTTP, name: http }";
    const selector = "workloadSelector: { labels: { app: ratings } }";
    // Where nobody listens: what answers is this endpoint and not the agent's own.
    bookinfo.mesh.apply(sidecar(`{ ${selector}, ingress: [{ port: ${port}, defaultEndpoint: "127.0.0.1:1" }] }`));
    await until("ratings is led astray", async () => (await other.get(ratings)).status === 503, { timeout });
    assert.equal((await other.get(details)).status, 200);
  });
});
