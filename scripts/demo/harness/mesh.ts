/** One whole mesh of child processes: a control plane with a watched directory, agents, and what they keep on disk. */
import { join } from "node:path";
import { parseAllDocuments } from "yaml";
import { agentFile, type Machine } from "./agent_file.ts";
import { ChildProcess } from "./child_process.ts";
import type { LoopbackBlock } from "./loopback.ts";
import { runSkiff, startSkiff } from "./skiff.ts";
import { until } from "./until.ts";

export interface MeshOptions {
  block: LoopbackBlock;
  /** Contents of mesh.yaml; empty: none is given. */
  meshConfig?: string;
  /** Lifetime of workload certificates, such as `20s`; empty: the default. */
  workloadCertificateTtl?: string;
  /** Data threads of each agent; 1 by default. */
  workers?: number;
  /** What runs the agents; the source by default. */
  agentExecutable?: string;
}

export class Mesh implements AsyncDisposable {
  readonly directory = Deno.makeTempDirSync({ prefix: "skiff-mesh-" });
  readonly configDir = join(this.directory, "config");
  readonly controlPlaneDir = join(this.directory, "controlplane");
  /** Base of the REST API. */
  readonly api: string;
  readonly agents = new Map<string, ChildProcess>();
  controlPlane: ChildProcess | null = null;
  private readonly others: ChildProcess[] = [];
  /** Processes that have had a successor. */
  private readonly ended: ChildProcess[] = [];
  private disposed = false;

  constructor(private readonly options: MeshOptions) {
    this.api = `http://${options.block.controlPlane}:15014`;
    Deno.mkdirSync(this.configDir);
    Deno.writeTextFileSync(join(this.directory, "mesh.yaml"), options.meshConfig ?? "trustDomain: cluster.local\n");
  }

  /** Starts the control plane and waits until it is ready. */
  async startControlPlane({ workloadCertificateTtl = this.options.workloadCertificateTtl ?? "" } = {}): Promise<void> {
    const { controlPlane } = this.options.block;
    const child = this.start("control plane", [
      "--role=controlplane",
      `--config=${join(this.directory, "mesh.yaml")}`,
      `--config-dir=${this.configDir}`,
      `--data-dir=${this.controlPlaneDir}`,
      `--xds-listen=${controlPlane}:15012`,
      `--join-listen=${controlPlane}:15011`,
      `--http-listen=${controlPlane}:15014`,
      `--advertise=${controlPlane}`,
      ...(workloadCertificateTtl === "" ? [] : [`--workload-cert-ttl=${workloadCertificateTtl}`]),
    ]);
    if (this.controlPlane !== null) this.ended.push(this.controlPlane);
    this.controlPlane = child;
    await ready(child, `${this.api}/readyz`);
  }

  /** A join token for the service accounts `NS/NAME`, made by the operator's command. */
  async token(serviceAccounts: string[], flags: string[] = []): Promise<string> {
    const named = [...new Set(serviceAccounts)].flatMap((account) => ["--service-account", account]);
    const { code, stdout, stderr } = await runSkiff([
      "token",
      "create",
      ...named,
      `--data-dir=${this.controlPlaneDir}`,
      ...flags,
    ]);
    if (code !== 0) throw new Error(`skiff token create: exit ${code}: ${stderr}`);
    return stdout.trim();
  }

  agentDir(name: string): string {
    return join(this.directory, name);
  }

  /** Starts the agent of one machine, without waiting; `token` only for its first start. */
  launchAgent(machine: Machine, token: string | null): ChildProcess {
    const file = join(this.directory, `${machine.name}.yaml`);
    Deno.writeTextFileSync(file, agentFile(machine, `${this.options.block.controlPlane}:15012`));
    const flags = token === null ? [] : [`--token=${token}`];
    const child = this.start(machine.name, [
      "--role=agent",
      `--config=${file}`,
      `--data-dir=${this.agentDir(machine.name)}`,
      `--workers=${this.options.workers ?? 1}`,
      ...flags,
    ], this.options.agentExecutable);
    const before = this.agents.get(machine.name);
    if (before !== undefined) this.ended.push(before);
    this.agents.set(machine.name, child);
    return child;
  }

  /** Joins a machine to the mesh and waits until its agent is ready. */
  async joinAgent(machine: Machine): Promise<void> {
    const accounts = machine.workloads.map(({ namespace, serviceAccount }) =>
      `${namespace ?? "default"}/${serviceAccount}`
    );
    if (machine.gateway !== undefined) accounts.push(`default/${machine.gateway.serviceAccount}`);
    await this.agentReady(machine, this.launchAgent(machine, await this.token(accounts)));
  }

  /** Nothing may start once the mesh is being taken down: nobody would end it. */
  private start(name: string, args: string[], executable?: string): ChildProcess {
    if (this.disposed) throw new Error(`${name} is not started: the mesh is being taken down`);
    if (executable === undefined) return startSkiff(name, args);
    return new ChildProcess(name, executable, args, { XDG_CACHE_HOME: this.directory });
  }

  async agentReady(machine: Machine, child: ChildProcess): Promise<void> {
    await ready(child, `http://${machine.address}:15021/healthz/ready`);
  }

  /** Has a process of another kind end with the mesh. */
  adopt(child: ChildProcess): ChildProcess {
    this.others.push(child);
    return child;
  }

  /** Writes each document of Istio YAML to a file of its own, named by what it is: a later one replaces it. */
  apply(yaml: string): void {
    for (const document of parseAllDocuments(yaml)) {
      const kind = String(document.getIn(["kind"])).toLowerCase();
      const path = join(this.configDir, `${kind}-${document.getIn(["metadata", "name"])}.yaml`);
      Deno.writeTextFileSync(`${path}.new`, document.toString());
      Deno.renameSync(`${path}.new`, path);
    }
  }

  /** Every process that was started, those that have ended too. */
  processes(): ChildProcess[] {
    return [...this.ended, this.controlPlane, ...this.agents.values(), ...this.others].filter((child) =>
      child !== null
    );
  }

  /** Ends every process and removes every file. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.disposed = true;
    await Promise.all(this.processes().map((child) => child.stop(3_000)));
    Deno.removeSync(this.directory, { recursive: true });
  }
}

/** Waits until `url` answers 200; fails at once, with the output, when the process ends. */
async function ready(child: ChildProcess, url: string): Promise<void> {
  const state = await until(`${child.name} is ready at ${url}`, async () => {
    if (!child.running) return "ended";
    const response = await fetch(url);
    await response.body?.cancel();
    return response.ok && "ready";
  }, { timeout: 30_000, explain: () => child.tail() });
  if (state === "ended") {
    throw new Error(`${child.name} ended (${await child.ended}) before it was ready: ${child.tail()}`);
  }
}
