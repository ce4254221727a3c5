import assert from "node:assert/strict";
import { agentFile } from "../../scripts/demo/harness/agent_file.ts";
import { HttpClient } from "../../scripts/demo/harness/http_client.ts";
import { claimLoopbackBlock } from "../../scripts/demo/harness/loopback.ts";
import { startSkiff } from "../../scripts/demo/harness/skiff.ts";
import { until } from "../../scripts/demo/harness/until.ts";
import { startApplication } from "../../scripts/demo/bookinfo/application.ts";
import { ratings } from "../../scripts/demo/bookinfo/ratings.ts";
import { applicationsOf, bookinfoMachines, proxyUrl } from "../../scripts/demo/topology.ts";

Deno.test("--role=all is a control plane and an agent in one process, without a token", async () => {
  using block = claimLoopbackBlock(1);
  const [machine] = bookinfoMachines(block, [[["ratings", "v1"]]]);
  const [options] = applicationsOf(machine);
  await using application = startApplication(options, ratings);
  assert.ok(application);
  const directory = await Deno.makeTempDir({ prefix: "skiff-e2e-" });
  const { controlPlane } = block;
  await Deno.writeTextFile(`${directory}/agent.yaml`, agentFile(machine, `${controlPlane}:15012`));
  await Deno.writeTextFile(`${directory}/mesh.yaml`, "trustDomain: laptop.example\n");
  const skiff = startSkiff("skiff", [
    "--role=all",
    `--config=${directory}/agent.yaml`,
    `--config=${directory}/mesh.yaml`,
    `--data-dir=${directory}/data`,
    `--xds-listen=${controlPlane}:15012`,
    `--join-listen=${controlPlane}:15011`,
    `--http-listen=${controlPlane}:15014`,
    "--workers=1",
  ]);
  try {
    await until("the agent is ready", async () => {
      const response = await fetch(`http://${machine.address}:15021/healthz/ready`);
      await response.body?.cancel();
      return response.ok;
    }, { timeout: 30_000, explain: () => skiff.tail() });
    using caller = new HttpClient(proxyUrl(options.address));
    const answer = await until("the mesh answers", async () => {
      const answer = await caller.get("http://ratings:9080/headers");
      return answer.status === 200 && answer;
    }, { explain: () => skiff.tail() });
    const identity = "spiffe://laptop.example/ns/default/sa/bookinfo-ratings";
    assert.ok(JSON.parse(answer.body).headers["x-forwarded-client-cert"].includes(`URI=${identity}`), answer.body);
    assert.equal(await skiff.stop(), 0);
  } finally {
    await skiff.kill();
    await Deno.remove(directory, { recursive: true });
  }
});
