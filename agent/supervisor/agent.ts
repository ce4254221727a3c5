/** The node agent's main thread: identities, data threads, one stream per workload, the local servers. */
import { join } from "node:path";
import { logger } from "../../log/log.ts";
import { inRange } from "../../routing/compile/address_range.ts";
import { nodeId } from "../../routing/xds/node.ts";
import { reasonOf } from "../discovery/reason.ts";
import { translateResource } from "../discovery/translate_resource.ts";
import { Resolver } from "../dns/resolver.ts";
import type { NameServer } from "../dns/system_files.ts";
import { WatchedNames } from "../dns/watched_names.ts";
import { raiseOpenFileLimit, releaseFreedMemory } from "../sys/libc.ts";
import { adminApp } from "./admin_app.ts";
import type { AgentFile } from "./agent_file.ts";
import { readAgentFile, watchAgentFile } from "./agent_file_source.ts";
import { AgentStartError } from "./agent_start_error.ts";
import type { AgentView } from "./agent_view.ts";
import { DataThreads } from "./data_threads.ts";
import { healthApp } from "./health_app.ts";
import { Identities } from "./identities.ts";
import { LocalDns, type LocalNames } from "./local_dns.ts";
import { type LocalServer, serveLocally } from "./local_server.ts";
import { metricsApp } from "./metrics_app.ts";
import { isLocalOnly, leadsToOurselves } from "./own_addresses.ts";
import { agentAddress, needsRefusingListener, planWorkloads } from "./plan.ts";
import { RefusalLog, refusingListener, refusingProxy } from "./refusing_proxy.ts";
import { trustTheMeshAlone } from "./trusted_roots.ts";
import { workloadFile } from "./workload_file.ts";
import { WorkloadAgent, type WorkloadPlan } from "./workload_agent.ts";

const log = logger("agent");
/** How long requests in flight may take when the agent is told to stop. */
const drainTimeout = 5000;

export interface AgentOptions {
  /** agent.yaml */
  configFile: string;
  /** Keys, certificates and the last good configuration. */
  dataDir: string;
  /** Needed while there are no certificates. */
  token?: string;
  /** Data threads. */
  workers: number;
  /** DNS servers in the place of those of `/etc/resolv.conf`. */
  nameServers?: NameServer[];
}

/** A running agent. */
export interface Agent {
  /** Finishes what is in flight, for at most five seconds, then ends everything. */
  stop(): Promise<void>;
  readonly admin: Deno.NetAddr;
  readonly metrics: Deno.NetAddr;
  readonly health: Deno.NetAddr;
  /** Why it is not ready; `null`: it is. */
  unready(): string | null;
}

/**
 * Starts an agent. Resolves when it has certificates and its data threads run; it is ready when its configuration has
 * come, from the control plane or from disk.
 *
 * @throws {AgentStartError} when its file, its token or its addresses are no good
 */
export async function startAgent(options: AgentOptions): Promise<Agent> {
  const file = await readAgentFile(options.configFile);
  const agent = new RunningAgent(options, file);
  try {
    await agent.start();
  } catch (error) {
    await agent.stop();
    throw error;
  }
  return agent;
}

class RunningAgent implements Agent {
  readonly #options: AgentOptions;
  readonly #identities: Identities;
  readonly #workloads = new Map<string, WorkloadAgent>();
  readonly #names: WatchedNames;
  readonly #dns: LocalDns;
  #file: AgentFile;
  #threads: DataThreads | null = null;
  #servers: { admin: LocalServer; metrics: LocalServer; health: LocalServer } | null = null;
  #unready: string | null = "starting";
  /** Where the refusing listener is; `null`: there is none. */
  #refusing: string | null = null;
  #refusals: RefusalLog | null = null;
  #unwatch: (() => void) | null = null;
  #reloading: Promise<void> = Promise.resolve();
  #stopped: Promise<void> | null = null;

  constructor(options: AgentOptions, file: AgentFile) {
    this.#options = options;
    this.#file = file;
    this.#identities = new Identities(options.dataDir);
    const isOurs = (server: NameServer) =>
      this.#dns.addresses.some(({ address, port }) => address === server.address && port === server.port);
    const resolver = new Resolver({ servers: options.nameServers, isOurs });
    this.#names = new WatchedNames(async (name, type) => {
      const { addresses, ttl } = await resolver.resolve(name, type);
      // A machine whose DNS leads back to ours would have services call themselves without end.
      return { addresses: addresses.filter((address) => !inRange(address, this.#file.vipRange)), ttl };
    });
    this.#dns = new LocalDns((query) => resolver.forward(query));
  }

  get admin(): Deno.NetAddr {
    return this.#servers!.admin.address;
  }

  get metrics(): Deno.NetAddr {
    return this.#servers!.metrics.address;
  }

  get health(): Deno.NetAddr {
    return this.#servers!.health.address;
  }

  unready(): string | null {
    if (this.#unready !== null) return this.#unready;
    for (const [name, { configuration }] of this.#workloads) {
      const missing = configuration.missing();
      if (missing !== null) return `workload ${name}: ${missing}`;
    }
    return null;
  }

  async start(): Promise<void> {
    raiseOpenFileLimit();
    trustTheMeshAlone();
    this.#serve();
    const plans = planWorkloads(this.#file, await agentAddress(this.#file));
    this.#unready = "no certificates yet";
    this.#followControlPlane();
    await this.#identities.ensure(plans.map((plan) => plan.identity), this.#options.token);
    this.#unready = "the data threads do not run yet";
    this.#threads = await DataThreads.start({ count: this.#options.workers });
    this.#identities.onChange(() => this.#sendSecrets());
    await this.#applyPlans(plans);
    this.#unready = null;
    releaseFreedMemory();
    this.#unwatch = watchAgentFile(this.#options.configFile, () => this.#reload());
    log.info("running", { agent: this.#file.name, workloads: plans.length, threads: this.#options.workers });
  }

  stop(): Promise<void> {
    return this.#stopped ??= this.#stop();
  }

  async #stop(): Promise<void> {
    this.#unready = "stopping";
    this.#unwatch?.();
    this.#dns.stop();
    this.#refusals?.stop();
    this.#identities.stop();
    await this.#reloading;
    await this.#threads?.drain(drainTimeout);
    await Promise.all([...this.#workloads.values()].map((workload) => workload.stop()));
    await this.#stopServers();
  }

  /** What the local servers see. */
  #view(): AgentView {
    return {
      name: () => this.#file.name,
      threads: () => this.#threads,
      workloads: () => [...this.#workloads.values()],
      certificates: () => this.#identities.certificates(),
      unready: () => this.unready(),
      drain: () => {
        this.#unready = "draining";
        this.#threads?.drain(drainTimeout).catch((error) => log.error("drain failed", { reason: reasonOf(error) }));
      },
    };
  }

  #serve(): void {
    const { localAddress, ports } = this.#file;
    const view = this.#view();
    const admin = serveLocally("admin", localAddress, ports.admin, adminApp(view, localAddress));
    const metrics = serveLocally("metrics", localAddress, ports.metrics, metricsApp(view));
    const health = serveLocally("health", localAddress, ports.health, healthApp(() => this.unready()));
    this.#servers = { admin, metrics, health };
  }

  async #stopServers(): Promise<void> {
    await Promise.all(Object.values(this.#servers ?? {}).map((server) => server.stop()));
  }

  #followControlPlane(): void {
    const { host, port } = this.#file.controlPlane;
    this.#identities.useControlPlanes([`${host.includes(":") ? `[${host}]` : host}:${port}`]);
  }

  #sendSecrets(): void {
    for (const workload of this.#workloads.values()) {
      workload.sendSecrets().catch((error) =>
        log.error("new certificates could not be applied", { workload: workload.name, reason: reasonOf(error) })
      );
    }
  }

  #reload(): void {
    this.#reloading = this.#reloading.then(() => this.#reloadNow()).catch((error) => {
      const hint = error instanceof AgentStartError ? error.hint : undefined;
      log.error("agent.yaml is not taken over; the old one stays", { reason: reasonOf(error), hint });
    });
  }

  async #reloadNow(): Promise<void> {
    if (this.#stopped !== null) return;
    const file = await readAgentFile(this.#options.configFile);
    if (JSON.stringify(file) === JSON.stringify(this.#file)) return;
    const plans = planWorkloads(file, await agentAddress(file));
    await this.#identities.ensure(plans.map((plan) => plan.identity), this.#options.token);
    const { localAddress, ports } = this.#file;
    this.#file = file;
    this.#followControlPlane();
    if (JSON.stringify([localAddress, ports]) !== JSON.stringify([file.localAddress, file.ports])) {
      await this.#stopServers();
      this.#serve();
    }
    await this.#applyPlans(plans);
    log.info("agent.yaml taken over", { workloads: plans.length });
  }

  /** Starts, changes and ends workloads so that they are those of the plans. */
  async #applyPlans(plans: WorkloadPlan[]): Promise<void> {
    const threads = this.#threads!;
    const wanted = new Map(plans.map((plan) => [plan.node.workload, plan]));
    for (const [name, workload] of this.#workloads) {
      const plan = wanted.get(name);
      if (plan !== undefined && isSameNode(plan, workload.plan)) continue;
      await workload.stop();
      this.#workloads.delete(name);
      await threads.apply({ kind: "removeProxy", proxy: name });
      log.info("workload ended", { workload: name });
    }
    await this.#refuseOthers();
    for (const plan of plans) {
      const running = this.#workloads.get(plan.node.workload);
      if (running === undefined) await this.#startWorkload(plan);
      else if (JSON.stringify(running.plan) !== JSON.stringify(plan)) await running.change(plan);
    }
    await this.#dns.set(this.#localNames());
  }

  #localNames(): LocalNames[] {
    return [...this.#workloads.values()].flatMap((workload) => {
      const { httpProxy } = workload.plan.node;
      if (httpProxy === null) return [];
      return [{ address: httpProxy.address, port: this.#file.ports.dns, names: () => workload.names() }];
    });
  }

  async #startWorkload(plan: WorkloadPlan): Promise<void> {
    const workload = new WorkloadAgent(plan, {
      threads: this.#threads!,
      identities: this.#identities,
      translate: translateResource,
      names: this.#names,
      mayDial: (address, port) => this.#mayDial(plan, address, port),
      file: workloadFile(this.#options.dataDir, plan.node.workload),
      credentials: join(this.#options.dataDir, "credentials"),
    });
    this.#workloads.set(workload.name, workload);
    await workload.start();
  }

  /** Whoever names a target must not be led back to this agent, round and round, and strangers not to this machine. */
  #mayDial({ node }: WorkloadPlan, address: string, port: number): boolean {
    if (node.type === "router" && isLocalOnly(address)) return false;
    const proxies = this.#threads?.state.proxies.values() ?? [];
    return !leadsToOurselves(address, port, {
      vipRange: this.#file.vipRange,
      local: new Set(Deno.networkInterfaces().map((each) => each.address)),
      listeners: [...proxies].flatMap(({ listeners }) => [...listeners.values()]),
    });
  }

  async #refuseOthers(): Promise<void> {
    const threads = this.#threads!;
    const { localAddress, ports } = this.#file;
    const refusing = needsRefusingListener(this.#file) ? `${localAddress}:${ports.httpProxy}` : null;
    if (refusing === this.#refusing) return;
    this.#refusing = refusing;
    this.#refusals?.stop();
    this.#refusals = refusing === null ? null : new RefusalLog(threads);
    if (refusing === null) return await threads.apply({ kind: "removeProxy", proxy: refusingProxy });
    for (const change of refusingListener(localAddress, ports.httpProxy)) {
      await threads.apply(change);
    }
  }
}

/** The same xDS node with the same identity: its stream and its saved configuration stay valid. */
function isSameNode(a: WorkloadPlan, b: WorkloadPlan): boolean {
  return nodeId(a.node) === nodeId(b.node) && a.identity === b.identity;
}
