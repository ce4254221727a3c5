/**
 * How the control plane scales: a real one in a process of its own, simulated agents over gRPC with mutual TLS in
 * others. Processor time is the control plane's alone.
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Authority } from "../../../ca/authority/authority.ts";
import { parseServiceAccount } from "../../../ca/spiffe/spiffe_id.ts";
import { createCertificateSigningRequest } from "../../../ca/x509/signing_request.ts";
import type { ClientIdentity } from "../../../controlplane/testing/ads_client.ts";
import { clusterName } from "../../../routing/xds/names.ts";
import { v8Flags } from "../../v8_flags.ts";
import { freePort, processorTime, type Program, residentMemory, startProgram } from "../processes.ts";
import { Fleet } from "./fleet.ts";
import { moveEndpoint, serviceName, writeMesh } from "./mesh_files.ts";

const trustDomain = "cluster.local";

/** One mesh and its fleet. Times in milliseconds, memory in MiB. */
export interface ScaleResult {
  services: number;
  agents: number;
  /** Processor time until the first agent ever had all of its configuration. */
  first: number;
  /** All agents at once, none of which has been there before: until the last is configured, and the processor time. */
  herd: { all: number; processor: number };
  /** One endpoint changed, by a write to the configuration directory: until agents have it, and the processor time. */
  change: { p50: number; p99: number; processor: number };
  /** All agents at once after a restart of the control plane. */
  restart: { all: number; processor: number };
  /** Of the control plane: with all agents connected, highest ever, and after all have gone. */
  memory: { connected: number; peak: number; after: number };
  descriptors: number;
  /** How often a stream had to be opened anew, by why the one before had ended. */
  retries: Record<string, number>;
}

export interface ScaleOptions {
  services: number;
  agents: number;
  changes: number;
}

export async function measureScale({ services, agents, changes }: ScaleOptions): Promise<ScaleResult> {
  const folder = await Deno.makeTempDir({ prefix: "skiff-scale-" });
  const config = join(folder, "config");
  await using parts = new AsyncDisposableStack();
  parts.defer(() => Deno.remove(folder, { recursive: true }));
  await Deno.mkdir(config);
  await writeMesh(config, services);
  const port = freePort();
  let program = await startControlPlane(folder, config, port);
  parts.defer(() => program.stop());
  const identity = await clientIdentity(join(folder, "data"));
  const fleetOf = async (size: number) => {
    const fleet = await Fleet.start({ folder, agents: size, services, identity, processes: size === 1 ? 1 : 2 });
    parts.defer(() => fleet.stop());
    return fleet;
  };
  const spent = async (work: () => Promise<void>) => {
    const before = processorTime(program.pid);
    await work();
    return (processorTime(program.pid) - before) / 1e6;
  };

  const single = await fleetOf(1);
  const first = await spent(async () => void await single.connect(port));
  await single.stop();

  const fleet = await fleetOf(agents);
  const herd = { all: 0, processor: 0 };
  herd.processor = await spent(async () => {
    const begun = epochNow();
    herd.all = Math.max(...await fleet.connect(port)) - begun;
  });
  await quiet(program);
  const connected = residentMemory(program.pid) / 1024;
  const descriptors = [...Deno.readDirSync(`/proc/${program.pid}/fd`)].length;

  const delays: number[] = [];
  let processor = 0;
  for (let n = 0; n < changes; n++) {
    const cluster = clusterName("outbound", 9080, "", `${serviceName(n)}.default.svc.cluster.local`);
    processor += await spent(async () => {
      let begun = 0;
      const times = await fleet.awaitEndpoints(cluster, async () => {
        begun = epochNow();
        await moveEndpoint(config, n, n);
      });
      delays.push(...times.map((time) => time - begun));
      await quiet(program);
    });
  }
  delays.sort((a, b) => a - b);
  const at = (share: number) => delays[Math.min(delays.length - 1, Math.floor(delays.length * share))];
  const change = { p50: at(0.5), p99: at(0.99), processor: processor / changes };

  await fleet.close();
  await program.stop();
  program = await startControlPlane(folder, config, port);
  const restart = { all: 0, processor: 0 };
  restart.processor = await spent(async () => {
    const begun = epochNow();
    restart.all = Math.max(...await fleet.connect(port)) - begun;
  });
  const peak = peakMemory(program.pid);
  await fleet.close();
  await quiet(program);
  const after = residentMemory(program.pid) / 1024;
  return {
    services,
    agents,
    first,
    herd,
    change,
    restart,
    memory: { connected, peak, after },
    descriptors,
    retries: Object.fromEntries(fleet.retries),
  };
}

function epochNow(): number {
  return performance.timeOrigin + performance.now();
}

/** Waits until the program has done what there was to do. */
async function quiet({ pid }: Program): Promise<void> {
  for (let before = -Infinity, tries = 0; tries < 100; tries++) {
    const spent = processorTime(pid);
    if (spent - before < 15e6) return;
    before = spent;
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
}

function peakMemory(pid: number): number {
  return Number(Deno.readTextFileSync(`/proc/${pid}/status`).match(/^VmHWM:\s+(\d+) kB/m)?.[1] ?? 0) / 1024;
}

function startControlPlane(folder: string, config: string, port: number): Promise<Program> {
  const main = fileURLToPath(new URL("../../../main.ts", import.meta.url));
  const listen = () => `127.0.0.1:${freePort()}`;
  return startProgram("the control plane", Deno.execPath(), [
    "run",
    "-A",
    "--no-check",
    v8Flags,
    main,
    "--role=controlplane",
    `--data-dir=${join(folder, "data")}`,
    `--config-dir=${config}`,
    `--xds-listen=127.0.0.1:${port}`,
    `--join-listen=${listen()}`,
    `--http-listen=${listen()}`,
    "--advertise=127.0.0.1,localhost",
    "--log-level=warn",
  ], port);
}

async function clientIdentity(dataDir: string): Promise<ClientIdentity> {
  const authority = await Authority.open({ dataDir, trustDomain });
  const id = parseServiceAccount("default/bench", trustDomain);
  const { csrPem, privateKeyPem } = await createCertificateSigningRequest(id);
  const { chain } = await authority.signWorkload(csrPem, id, 3_600_000);
  return { chain: chain.join(""), privateKey: privateKeyPem, trustBundle: authority.trustBundle() };
}
