import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { bookinfo, mesh as meshOf } from "../../routing/compile/testing/mesh.ts";
import { type Agent, startAgent } from "./agent.ts";
import { AgentStartError } from "./agent_start_error.ts";
import { CompiledDiscovery } from "./testdata/compiled_discovery.ts";
import { openTestMesh, type TestMesh } from "./testdata/test_mesh.ts";

/** Loopback addresses that no other test listens on. */
const address = "127.0.77.1";
const ownAddress = "127.0.77.12";
const reviews = "{ service: reviews, serviceAccount: bookinfo-reviews, labels: { app: reviews, version: v1 }, " +
  "ports: [{ name: http, port: 9080 }] }";
const ratings = "{ service: ratings, serviceAccount: bookinfo-ratings, ports: [{ name: http, port: 9080 }] }";

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

/** An agent's folder, file and control plane. */
async function scene(run: (scene: Scene) => Promise<void>): Promise<void> {
  const discovery = new CompiledDiscovery(meshOf(bookinfo()));
  await using mesh = await openTestMesh({ ttl: 3_600_000, request: discovery.request });
  const configFile = `${mesh.agentDir}.yaml`;
  const [admin, metrics, health, inbound, httpProxy] = Array.from({ length: 5 }, freePort);
  const write = (...workloads: string[]) =>
    Deno.writeTextFileSync(
      configFile,
      `apiVersion: skiff.dev/v1
kind: Agent
metadata: { name: vm-1 }
spec:
  controlPlane: 127.0.0.1:${mesh.port}
  address: ${address}
  ports: { admin: ${admin}, metrics: ${metrics}, health: ${health}, inbound: ${inbound}, httpProxy: ${httpProxy} }
  workloads: [${workloads.join(", ")}]
`,
    );
  const start = (token?: string) => startAgent({ configFile, dataDir: mesh.agentDir, token, workers: 2 });
  await run({ mesh, discovery, inbound, httpProxy, write, start });
}

interface Scene {
  mesh: TestMesh;
  discovery: CompiledDiscovery;
  inbound: number;
  httpProxy: number;
  write(...workloads: string[]): void;
  start(token?: string): Promise<Agent>;
}

async function until(what: () => boolean): Promise<void> {
  while (!what()) await delay(10);
}

async function get({ hostname, port }: Deno.NetAddr, path: string): Promise<string> {
  const response = await fetch(`http://${hostname}:${port}${path}`);
  return `${response.status} ${await response.text()}`;
}

Deno.test("an agent joins, gets its configuration and becomes ready", () =>
  scene(async ({ mesh, discovery, inbound, httpProxy, write, start }) => {
    write(reviews);
    const agent = await start(await mesh.token("default/bookinfo-reviews"));
    try {
      await until(() => agent.unready() === null);
      assert.equal(await get(agent.health, "/healthz/ready"), "200 ready\n");
      assert.deepEqual(discovery.refusals, []);
      assert.deepEqual(discovery.nodes[0].httpProxy, { address: "127.0.0.1", port: httpProxy });
      const clusters = await get(agent.admin, "/clusters");
      assert.match(
        clusters,
        /outbound\|9080\|\|details\.default\.svc\.cluster\.local::127\.0\.1\.1:15006::rq_total::0/,
      );
      assert.ok((await get(agent.admin, "/listeners")).includes(`::${address}:${inbound}\n`));
      assert.match(await get(agent.admin, "/certs"), /spiffe:\/\/cluster\.local\/ns\/default\/sa\/bookinfo-reviews/);
      const dump = await get(agent.admin, "/config_dump");
      assert.match(dump, /"workload":"reviews"/);
      assert.doesNotMatch(dump, /PRIVATE KEY/);
      assert.match(await get(agent.metrics, "/stats/prometheus"), /skiff_agent_control_plane_connected\{.*\} 1/);
    } finally {
      await agent.stop();
    }
  }));

Deno.test("with the control plane gone an agent starts ready from its disk, and connects when it is back", () =>
  scene(async ({ mesh, discovery, write, start }) => {
    write(reviews);
    const first = await start(await mesh.token("default/bookinfo-reviews"));
    await until(() => first.unready() === null);
    await first.stop();
    mesh.killControlPlane();
    const second = await start();
    try {
      assert.equal(second.unready(), null);
      assert.match(await get(second.admin, "/clusters"), /outbound\|9080\|\|ratings/);
      const before = discovery.nodes.length;
      await mesh.startControlPlane();
      await until(() => discovery.nodes.length > before);
    } finally {
      await second.stop();
    }
  }));

Deno.test("a changed file starts and ends workloads, and a wrong one changes nothing", () =>
  scene(async ({ mesh, discovery, write, start }) => {
    write(reviews);
    const token = await mesh.token("default/bookinfo-reviews", "default/bookinfo-ratings");
    const agent = await start(token);
    const workloads = async () =>
      [...(await get(agent.admin, "/listeners")).matchAll(/# workload (\S+)/g)].map((m) => m[1]);
    try {
      await until(() => agent.unready() === null);
      write("{ service: ");
      Deno.kill(Deno.pid, "SIGHUP");
      await delay(300);
      assert.deepEqual(await workloads(), ["reviews"]);
      // The token's one use is spent, so the second identity needs a certificate of its own making: it stays out.
      write(reviews, ratings);
      await delay(400);
      assert.deepEqual(await workloads(), ["reviews"]);
      write(ratings.replace("bookinfo-ratings", "bookinfo-reviews"));
      while ((await workloads()).join() !== "ratings") await delay(20);
      await until(() => discovery.nodes.some((node) => node.workload === "ratings"));
    } finally {
      await agent.stop();
    }
  }));

Deno.test("several workloads without an address of their own have no proxy port but one that refuses", () =>
  scene(async ({ mesh, discovery, httpProxy, write, start }) => {
    write(reviews, ratings.replace("{", `{ localAddress: ${ownAddress},`));
    const agent = await start(await mesh.token("default/bookinfo-reviews", "default/bookinfo-ratings"));
    try {
      await until(() => agent.unready() === null);
      const proxies = discovery.nodes.map(({ workload, httpProxy }) => [workload, httpProxy?.address ?? null]);
      assert.deepEqual(proxies.sort(), [["ratings", ownAddress], ["reviews", null]]);
      const refused = await fetch(`http://127.0.0.1:${httpProxy}/`, { headers: { host: "reviews" } });
      assert.equal(refused.status, 403);
      assert.match(await refused.text(), /localAddress/);
      // Nobody answers behind the mesh in this test, but the workload's own port takes the request.
      const taken = await fetch(`http://${ownAddress}:${httpProxy}/`, { headers: { host: "reviews" } });
      assert.notEqual(taken.status, 403);
      await taken.body?.cancel();
    } finally {
      await agent.stop();
    }
  }));

Deno.test("without certificate and token the agent does not start, and frees its ports", () =>
  scene(async ({ mesh, write, start }) => {
    write(reviews);
    await assert.rejects(start(), (error) => error instanceof AgentStartError && /token create/.test(error.hint));
    const agent = await start(await mesh.token("default/bookinfo-reviews"));
    await agent.stop();
  }));

Deno.test("a wrong agent.yaml is told with its place", () =>
  scene(async ({ write, start }) => {
    write("{ service: 5 }");
    await assert.rejects(start(), (error) =>
      error instanceof AgentStartError && /agent\.yaml:\d+:\d+/.test(error.message));
  }));
