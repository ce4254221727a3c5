/** Certificates that are renewed, and a control plane that is restarted, killed and comes back, all under load. */
import type { BookinfoMesh } from "../bookinfo_mesh.ts";
import { tally } from "../harness/http_client.ts";
import { Load } from "../harness/load.ts";
import { until } from "../harness/until.ts";
import { certificates, connectedProxies } from "./observe.ts";
import { reviewsServedBy } from "./routing_steps.ts";
import { expect, type Step } from "./step.ts";

/** Every kind of hop at once: productpage asks reviews v2 or v3, which asks ratings. */
function startLoad(bookinfo: BookinfoMesh): Load {
  const productpage = bookinfo.caller("productpage");
  return new Load(() => productpage.get("http://reviews:9080/reviews/0"));
}

async function noneDropped(load: Load): Promise<string> {
  const { requests, failures } = await load.stop();
  expect(requests > 0, "the load sent nothing");
  expect(failures.length === 0, `${failures.length} of ${requests} requests failed: ${tally(failures)}`);
  return `none of ${requests} requests dropped`;
}

const renewal: Step = {
  name: "certificates are renewed under load without a dropped request",
  async run(bookinfo) {
    bookinfo.apply("virtual-service-reviews-v3.yaml");
    await reviewsServedBy(bookinfo, "reviews-v3");
    await using load = startLoad(bookinfo);
    const before = await certificates(bookinfo);
    await until("every identity has a new certificate", async () => {
      const now = await certificates(bookinfo);
      return [...before.keys()].every((key) => now.get(key)?.serial !== before.get(key)?.serial);
    }, { timeout: 60_000, interval: 200 });
    return `${before.size} certificates replaced, ${await noneDropped(load)}`;
  },
};

const restart: Step = {
  name: "the control plane restarts with another certificate lifetime, unnoticed by traffic",
  async run(bookinfo) {
    await using load = startLoad(bookinfo);
    const code = await bookinfo.mesh.controlPlane!.stop();
    expect(code === 0, `the control plane ended with ${code} on SIGTERM`);
    await bookinfo.mesh.startControlPlane({ workloadCertificateTtl: "24h" });
    await until("every identity has a certificate for a day", async () => {
      const now = [...(await certificates(bookinfo)).values()];
      return now.every(({ expires }) => expires.getTime() - Date.now() > 3_600_000);
    }, { timeout: 60_000, interval: 200 });
    return await noneDropped(load);
  },
};

const killed: Step = {
  name: "the control plane is killed: traffic goes on",
  async run(bookinfo) {
    await using load = startLoad(bookinfo);
    await bookinfo.mesh.controlPlane!.kill();
    await new Promise((done) => setTimeout(done, 1_500));
    return await noneDropped(load);
  },
};

const agentFromDisk: Step = {
  name: "an agent restarted meanwhile comes back from disk",
  async run(bookinfo) {
    const machine = bookinfo.machine("vm-3");
    await bookinfo.mesh.agents.get("vm-3")!.kill();
    const start = performance.now();
    await bookinfo.mesh.agentReady(machine, bookinfo.mesh.launchAgent(machine, null));
    const took = performance.now() - start;
    await reviewsServedBy(bookinfo, "reviews-v3");
    const inbound = await bookinfo.caller("productpage").many(40, "http://reviews:9080/reviews/0");
    expect(inbound.every(({ status }) => status === 200), tally(inbound.map(({ status }) => status)));
    expect(inbound.every(({ body }) => body.includes(`"color":"red"`)), `no ratings: ${inbound[0].body}`);
    return `ready after ${took.toFixed(0)} ms; ${inbound.length} requests through it both ways are good`;
  },
};

const back: Step = {
  name: "the control plane is back: everyone reconnects and gets the next change",
  async run(bookinfo) {
    await bookinfo.mesh.startControlPlane({ workloadCertificateTtl: "24h" });
    const proxies = bookinfo.machines.reduce(
      (sum, { workloads, gateway }) => sum + workloads.length + (gateway === undefined ? 0 : 1),
      0,
    );
    await until("every proxy is connected", async () => await connectedProxies(bookinfo) === proxies);
    bookinfo.apply("virtual-service-all-v1.yaml");
    bookinfo.apply("virtual-service-ratings-test-abort.yaml");
    await reviewsServedBy(bookinfo, "reviews-v1");
    for (const [service, version] of [["reviews", "v1"], ["reviews", "v2"], ["reviews", "v3"], ["productpage", "v1"]]) {
      const caller = bookinfo.caller(service, version);
      await until(`${service}-${version} has the new rule of ratings`, async () => {
        const { status } = await caller.get("http://ratings:9080/ratings/0", { "end-user": "jason" });
        return status === 500;
      }, { timeout: 5_000 });
    }
    return `${proxies} proxies connected; a change of two rules reached all three machines`;
  },
};

export const controlPlaneSteps: Step[] = [renewal, restart, killed, agentFromDisk, back];
