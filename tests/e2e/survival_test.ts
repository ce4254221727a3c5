import assert from "node:assert/strict";
import { BookinfoMesh } from "../../scripts/demo/bookinfo_mesh.ts";
import { Load } from "../../scripts/demo/harness/load.ts";
import { until } from "../../scripts/demo/harness/until.ts";

const ratingsUrl = "http://ratings:9080/ratings/0";

Deno.test("a mesh survives what happens to its parts", async (t) => {
  await using bookinfo = await BookinfoMesh.start({ placement: [[["productpage", "v1"]], [["ratings", "v1"]]] });
  const { mesh } = bookinfo;
  const productpage = bookinfo.caller("productpage");
  const good = async () => (await productpage.get(ratingsUrl)).status === 200;
  await until("ratings is reached", good);

  await t.step("a file that is no valid rule leaves the last good one in force", async () => {
    const rule = `${mesh.configDir}/virtualservice-ratings.yaml`;
    const before = await Deno.readTextFile(rule);
    await Deno.writeTextFile(rule, "apiVersion: networking.istio.io/v1\nkind: VirtualService\nspec: [\n");
    await mesh.controlPlane!.line(/virtualservice-ratings\.yaml/);
    assert.ok(await good());
    await Deno.writeTextFile(rule, before);
  });

  await t.step("an agent told to end finishes the request under way, and exits with 0", async () => {
    const slow = productpage.get("http://ratings:9080/delay/1500");
    const agent = mesh.agents.get("vm-2")!;
    await until("the request is under way", async () => {
      const lines = await (await fetch(`http://${bookinfo.machine("vm-1").address}:15000/clusters`)).text();
      return /ratings.*::rq_active::1/.test(lines);
    }).catch(() => new Promise((done) => setTimeout(done, 500)));
    agent.signal("SIGTERM");
    const answer = await slow;
    assert.deepEqual([answer.status, JSON.parse(answer.body).delayed], [200, 1500]);
    assert.equal(await agent.ended, 0, agent.tail());
  });

  await t.step("without the control plane it comes back from disk and serves", async () => {
    await mesh.controlPlane!.kill();
    const machine = bookinfo.machine("vm-2");
    await mesh.agentReady(machine, mesh.launchAgent(machine, null));
    await until("ratings is reached again", good);
  });

  await t.step("a killed agent comes back as well", async () => {
    await mesh.agents.get("vm-1")!.kill();
    const machine = bookinfo.machine("vm-1");
    await mesh.agentReady(machine, mesh.launchAgent(machine, null));
    await until("productpage reaches ratings again", good);
  });

  await t.step("the control plane's return drops no request", async () => {
    await using load = new Load(() => productpage.get(ratingsUrl));
    await mesh.startControlPlane();
    await until("both workloads and the gateway are connected", async () => {
      const text = await (await fetch(`${mesh.api}/api/v1/proxies`)).text();
      return (text.match(/"connected": ?true/g) ?? []).length === 3;
    });
    const { requests, failures } = await load.stop();
    assert.deepEqual(failures, []);
    assert.ok(requests > 0);
  });

  await t.step("the control plane ends with 0 on SIGTERM", async () => {
    assert.equal(await mesh.controlPlane!.stop(), 0);
  });
});
