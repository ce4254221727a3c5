/** Bookinfo on a mesh of its own: control plane, three machines' agents and applications, all as child processes. */
import { fileURLToPath } from "node:url";
import { type Machine } from "./harness/agent_file.ts";
import { ChildProcess } from "./harness/child_process.ts";
import { HttpClient } from "./harness/http_client.ts";
import { claimLoopbackBlock, type LoopbackBlock } from "./harness/loopback.ts";
import { Mesh } from "./harness/mesh.ts";
import { joinByHand } from "./harness/join.ts";
import type { CertificateFiles } from "./harness/openssl.ts";
import {
  applicationsOf,
  bookinfoMachines,
  gatewayPort,
  type Placement,
  port,
  proxyUrl,
  wholeBookinfo,
} from "./topology.ts";

/** Fields of an agent's access log line, as {@link meshConfig} asks for them; null: there is none. */
export interface AccessLine {
  start: string;
  request: string;
  status: string;
  flags: string | null;
  /** Of the inbound connection. */
  tls: string | null;
  caller: string | null;
  sni: string | null;
  /** Of the outbound connection. */
  cluster: string | null;
  host: string | null;
  callee: string | null;
}

const accessLine: Record<keyof AccessLine, string> = {
  start: "%START_TIME%",
  request: "%REQ(:METHOD)% %REQ(:AUTHORITY)%%REQ(:PATH)%",
  status: "%RESPONSE_CODE%",
  flags: "%RESPONSE_FLAGS%",
  tls: "%DOWNSTREAM_TLS_VERSION%",
  caller: "%DOWNSTREAM_PEER_URI_SAN%",
  sni: "%REQUESTED_SERVER_NAME%",
  cluster: "%UPSTREAM_CLUSTER%",
  host: "%UPSTREAM_HOST%",
  callee: "%UPSTREAM_PEER_URI_SAN%",
};

const meshConfig = `trustDomain: cluster.local
accessLogFile: /dev/stdout
accessLogEncoding: JSON
accessLogFormat: '${JSON.stringify(accessLine)}'
`;

export interface BookinfoOptions {
  /** Lifetime of workload certificates, such as `20s`; absent: the default. */
  workloadCertificateTtl?: string;
  /** What runs where; absent: all of bookinfo on three machines. */
  placement?: Placement;
}

export class BookinfoMesh implements AsyncDisposable {
  private constructor(
    private readonly block: LoopbackBlock,
    readonly mesh: Mesh,
    readonly machines: Machine[],
    private readonly clients: Map<string, HttpClient>,
  ) {}

  /** Starts everything and waits until every agent is ready. */
  static async start(options: BookinfoOptions = {}): Promise<BookinfoMesh> {
    const block = claimLoopbackBlock();
    const bookinfo = new BookinfoMesh(
      block,
      new Mesh({ block, meshConfig, ...options }),
      bookinfoMachines(block, options.placement ?? wholeBookinfo),
      new Map(),
    );
    try {
      await bookinfo.startParts();
    } catch (error) {
      await bookinfo[Symbol.asyncDispose]();
      throw error;
    }
    return bookinfo;
  }

  private async startParts(): Promise<void> {
    this.apply("destination-rule-all.yaml");
    this.apply("virtual-service-all-v1.yaml");
    await Promise.all([...this.machines.map((machine) => this.startApplications(machine)), this.startSkiff()]);
  }

  private async startSkiff(): Promise<void> {
    await this.mesh.startControlPlane();
    await Promise.all(this.machines.map((machine) => this.mesh.joinAgent(machine)));
  }

  private async startApplications(machine: Machine): Promise<void> {
    const entry = fileURLToPath(new URL("./bookinfo/main.ts", import.meta.url));
    const child = new ChildProcess(`applications of ${machine.name}`, Deno.execPath(), [
      "run",
      "-A",
      "--no-check",
      entry,
      JSON.stringify(applicationsOf(machine)),
    ]);
    await this.mesh.adopt(child).line(/^bookinfo ready/);
  }

  /** Puts one of the rule files under `config/` in force, the way an operator would: by writing into the directory. */
  apply(file: string): void {
    this.mesh.apply(Deno.readTextFileSync(new URL(`./config/${file}`, import.meta.url)));
  }

  /** Where one application listens itself; with two versions of the same service, the first that has the version. */
  localAddress(service: string, version = "v1", machine?: string): string {
    for (const { name, workloads } of this.machines) {
      if (machine !== undefined && machine !== name) continue;
      const workload = workloads.find((candidate) => candidate.service === service && candidate.version === version);
      if (workload !== undefined) return workload.localAddress;
    }
    throw new Error(`no ${service} ${version} on ${machine ?? "any machine"}`);
  }

  /** A caller that the mesh takes for the given workload. */
  caller(service: string, version = "v1", machine?: string): HttpClient {
    const proxy = proxyUrl(this.localAddress(service, version, machine));
    const client = this.clients.get(proxy) ?? new HttpClient(proxy);
    this.clients.set(proxy, client);
    return client;
  }

  /** A caller outside the mesh. */
  outsider(): HttpClient {
    return new HttpClient(null);
  }

  machine(name: string): Machine {
    const machine = this.machines.find((candidate) => candidate.name === name);
    if (machine === undefined) throw new Error(`no machine ${name}`);
    return machine;
  }

  /** A certificate of the mesh for a service account of the default namespace, joined without an agent. */
  async certificateFor(serviceAccount: string): Promise<CertificateFiles> {
    const identity = `default/${serviceAccount}`;
    return await joinByHand(this.mesh.directory, await this.mesh.token([identity]), identity);
  }

  /** The access log of every agent, the latest lines of each. */
  accessLog(): AccessLine[] {
    return [...this.mesh.agents.values()].flatMap((agent) => agent.stdout().split("\n"))
      .filter((line) => line.startsWith("{")).map((line) => JSON.parse(line));
  }

  /** Entrance for people: the machine's address and the service's port, as for any caller outside the mesh. */
  get productPage(): string {
    return `http://${this.machines[0].address}:${port}/productpage`;
  }

  /** Entrance through the gateway, once its rules are in force. */
  get gatewayPage(): string {
    return `http://${this.machines[0].address}:${gatewayPort}/productpage`;
  }

  /** What every process said last of itself, for a failed check. */
  logs(): string {
    return this.mesh.processes().map((child) => `--- ${child.name} ${child.state}${child.tail(30)}`).join("\n");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.clients.values()) client[Symbol.dispose]();
    await this.mesh[Symbol.asyncDispose]();
    this.block[Symbol.dispose]();
  }
}
