/** A proxyless gRPC client resolves a service of the mesh by itself, and calls it. */
import { deepEqual, equal, throws } from "node:assert/strict";
import { stringify } from "yaml";
import { claimLoopbackBlock } from "../../scripts/demo/harness/loopback.ts";
import { Mesh } from "../../scripts/demo/harness/mesh.ts";
import { ChildProcess } from "../../scripts/demo/harness/child_process.ts";
import { runSkiff, startSkiff } from "../../scripts/demo/harness/skiff.ts";
import { until } from "../../scripts/demo/harness/until.ts";

const client = new URL("./grpc_client.ts", import.meta.url).pathname;
const server = new URL("./grpc_echo_server.ts", import.meta.url).pathname;

Deno.test("a proxyless gRPC client resolves and calls a service of the mesh", async () => {
  using block = claimLoopbackBlock(2);
  await using mesh = new Mesh({ block });
  await mesh.startControlPlane();
  const agentFile = (machine: number, workload: Record<string, unknown>) => {
    const path = `${mesh.directory}/vm-${machine}.yaml`;
    const spec = {
      controlPlane: `${block.controlPlane}:15012`,
      address: block.machine(machine),
      localAddress: block.machine(machine),
      workloads: [workload],
    };
    Deno.writeTextFileSync(
      path,
      stringify({ apiVersion: "skiff.dev/v1", kind: "Agent", metadata: { name: `vm-${machine}` }, spec }),
    );
    return path;
  };
  const reviews = agentFile(1, {
    service: "reviews",
    serviceAccount: "reviews",
    ports: [{ name: "grpc", port: 9080, target: `${block.workload(1, 1)}:9080` }],
  });
  const caller = agentFile(2, { service: "caller", serviceAccount: "caller", ports: [{ name: "grpc", port: 1 }] });
  const dataDir = `--data-dir=${mesh.agentDir("vm-2")}`;

  mesh.adopt(
    new ChildProcess("echo", Deno.execPath(), ["run", "-A", "--no-check", server, block.workload(1, 1), "9080"]),
  );
  const agent = mesh.adopt(startSkiff("vm-1", [
    "--role=agent",
    `--config=${reviews}`,
    `--data-dir=${mesh.agentDir("vm-1")}`,
    "--workers=1",
    `--token=${await mesh.token(["default/reviews"])}`,
  ]));
  await until("the agent is ready", async () => {
    const response = await fetch(`http://${block.machine(1)}:15021/healthz/ready`);
    await response.body?.cancel();
    return response.ok;
  }, { timeout: 30_000, explain: () => agent.tail() });

  const bootstrap = await runSkiff([
    "grpc-bootstrap",
    `--config=${caller}`,
    `--token=${await mesh.token(["default/caller"])}`,
    dataDir,
  ]);
  equal(bootstrap.code, 0, bootstrap.stderr);
  const file = `${mesh.directory}/grpc.json`;
  Deno.writeTextFileSync(file, bootstrap.stdout);
  const relay = mesh.adopt(startSkiff("relay", ["grpc-bootstrap", `--config=${caller}`, "--attend=yes", dataDir]));
  const socket = JSON.parse(bootstrap.stdout).xds_servers[0].server_uri.slice("unix:".length);
  await until("the way to the control plane is open", () => Deno.statSync(socket).isSocket, {
    explain: () => relay.tail(),
  });
  equal(Deno.statSync(socket).mode! & 0o777, 0o600);

  const call = async (target: string) => {
    const child = mesh.adopt(
      new ChildProcess("client", Deno.execPath(), ["run", "-A", "--no-check", client, target], {
        GRPC_XDS_BOOTSTRAP: file,
      }),
    );
    await child.ended;
    return JSON.parse(child.stdout().trim().split("\n").at(-1) || JSON.stringify(child.tail()));
  };
  deepEqual(await call("xds:///reviews.default.svc.cluster.local:9080"), { answer: "hello" });
  equal(await relay.stop(), 0, relay.tail());
  throws(() => Deno.statSync(socket), Deno.errors.NotFound);
});
