/** One workload of this agent: its xDS node, its stream, its configuration, its secrets, its probe. */
import { logger } from "../../log/log.ts";
import { nodeId, nodeToMetadata, type WorkloadNode } from "../../routing/xds/node.ts";
import type { ProxyDescription, WorkloadLabels } from "../config/model.ts";
import type { Change } from "../discovery/make_before_break.ts";
import { secretsOf } from "../discovery/references.ts";
import { AdsClient } from "../discovery/ads_client.ts";
import type { NameSource } from "../discovery/dns_endpoints.ts";
import type { MayDial } from "../discovery/dynamic_names.ts";
import { reasonOf } from "../discovery/reason.ts";
import type { Translate } from "../discovery/translation.ts";
import { WorkloadConfiguration } from "../discovery/workload_configuration.ts";
import { readFileIfThere, writeFileAtomically } from "./atomic_file.ts";
import type { DataThreads } from "./data_threads.ts";
import type { Identities } from "./identities.ts";
import { type NameTable, nameTable } from "../dns/name_table.ts";
import { VirtualListeners } from "./virtual_listeners.ts";
import { type Probe, Prober } from "./probe.ts";
import { WorkloadSecrets } from "./workload_secrets.ts";

const log = logger("agent");
/** How often listeners that could not be bound are tried again, milliseconds. */
const listenerRetryInterval = 5000;
const emptyChange: Change = {
  clusters: [],
  removedClusters: [],
  endpoints: [],
  routes: [],
  removedRoutes: [],
  listeners: [],
  removedListeners: [],
};

/** What an agent is to run for one workload. */
export interface WorkloadPlan {
  node: WorkloadNode;
  /** `NAMESPACE/SERVICE-ACCOUNT`. */
  identity: string;
  probe: Probe | null;
}

export interface WorkloadDependencies {
  threads: DataThreads;
  identities: Identities;
  translate: Translate;
  names: NameSource;
  mayDial: MayDial;
  /** Where the last good configuration is kept. */
  file: string;
  /** Folder of credentials that configuration names by `kubernetes://`. */
  credentials: string;
}

export class WorkloadAgent {
  readonly configuration: WorkloadConfiguration;
  readonly stream: AdsClient;
  readonly #dependencies: WorkloadDependencies;
  readonly #secrets: WorkloadSecrets;
  /** Changes are applied one after the other, each after its secrets. */
  #applying: Promise<void> = Promise.resolve();
  #plan: WorkloadPlan;
  readonly #virtualListeners: VirtualListeners;
  #retryTimer: ReturnType<typeof setInterval> | undefined;
  /** `null`: the listeners have changed since it was made. */
  #names: NameTable | null = null;
  #prober: Prober | null = null;
  #health: { healthy: boolean; reason: string } = { healthy: true, reason: "" };

  constructor(plan: WorkloadPlan, dependencies: WorkloadDependencies) {
    this.#plan = plan;
    this.#dependencies = dependencies;
    this.#virtualListeners = new VirtualListeners(plan.node.workload);
    const { threads, identities, translate, names, mayDial, file, credentials } = dependencies;
    const apply = threads.apply.bind(threads);
    this.#secrets = new WorkloadSecrets({ workload: this.name, credentials, apply });
    this.configuration = new WorkloadConfiguration({
      workload: this.name,
      owner: `${nodeId(plan.node)} ${plan.identity}`,
      translate,
      names,
      mayDial,
      apply: (change) => this.#apply(change),
      storage: { read: () => readFileIfThere(file), write: (text) => writeFileAtomically(file, text) },
    });
    this.stream = new AdsClient({
      workload: this.name,
      addresses: () => identities.controlPlanes,
      identity: () => identities.of(this.#plan.identity),
      node: () => ({
        id: nodeId(this.#plan.node),
        cluster: this.#plan.node.service || this.name,
        userAgentName: "skiff",
        metadata: nodeToMetadata(this.#plan.node),
        locality: localityOf(this.#plan.node.locality),
      }),
      configuration: this.configuration,
    });
  }

  /** Unique on this agent. */
  get name(): string {
    return this.#plan.node.workload;
  }

  get plan(): WorkloadPlan {
    return this.#plan;
  }

  get health(): { healthy: boolean; reason: string } {
    return this.#health;
  }

  /** Serves from disk what there is, then opens the stream. */
  async start(): Promise<void> {
    await this.#describe();
    await this.sendSecrets();
    this.#dependencies.threads.resolvers.set(
      this.name,
      (cluster, name, port) => this.configuration.resolve(cluster, name, port),
    );
    await this.configuration.restore();
    this.stream.start();
    this.#startProbe();
    this.#retryTimer = setInterval(() => this.#retryListeners(), listenerRetryInterval);
  }

  /** Takes over what has changed in the agent's file; the node id and the identity are as before. */
  async change(plan: WorkloadPlan): Promise<void> {
    this.#plan = plan;
    await this.#describe();
    this.stream.restart();
    await this.#prober?.stop();
    this.#prober = null;
    this.#startProbe();
  }

  /** Hands certificate, key and trust bundle to the data threads. */
  async sendSecrets(): Promise<void> {
    const { certificateChain, privateKey, trustBundle } = this.#dependencies.identities.of(this.#plan.identity);
    // The trust bundle first: a peer that shows a certificate of a new root must not be refused.
    await this.#secrets.deliver({ name: "ROOTCA", certificateChain: "", privateKey: "", trustBundle });
    await this.#secrets.deliver({ name: "default", certificateChain, privateKey, trustBundle: "" });
  }

  /** Ends stream and probe; the data threads go on with what they have. */
  async stop(): Promise<void> {
    clearInterval(this.#retryTimer);
    this.#dependencies.threads.resolvers.delete(this.name);
    await Promise.all([this.#prober?.stop(), this.stream.stop()]);
    await this.configuration.close();
    await this.#secrets.stop();
  }

  #apply(change: Change): Promise<void> {
    const inForce = this.configuration.inForce;
    const names = secretsOf(inForce.clusters.values(), inForce.listeners.values());
    const inline = this.configuration.secrets();
    const applied = this.#applying.then(async () => {
      await this.#secrets.provide(names, inline);
      const admitted = this.#virtualListeners.admit(change);
      this.#names = null;
      await this.#dependencies.threads.apply({ kind: "resources", proxy: this.name, ...admitted });
      await this.#secrets.release(names);
    });
    this.#applying = applied.catch(() => {});
    return applied;
  }

  /** Whoever had the addresses of services before us may be gone. */
  #retryListeners(): void {
    const listeners = this.#virtualListeners.retry();
    if (listeners.length === 0) return;
    this.#apply({ ...emptyChange, listeners }).catch((error) =>
      log.warn("listeners could not be bound after all", { workload: this.name, reason: reasonOf(error) })
    );
  }

  /** What this workload's DNS server answers. */
  names(): NameTable {
    return this.#names ??= nameTable(
      this.configuration.inForce.listeners.values(),
      this.#plan.node.namespace,
      this.#virtualListeners.unbound,
    );
  }

  async #describe(): Promise<void> {
    const description: ProxyDescription = {
      proxy: this.name,
      principal: this.#dependencies.identities.spiffeId(this.#plan.identity),
      workload: labelsOf(this.#plan.node),
    };
    await this.#dependencies.threads.apply({ kind: "proxy", description });
  }

  #startProbe(): void {
    this.#health = { healthy: true, reason: "" };
    if (this.#plan.probe === null) return;
    this.#health = { healthy: false, reason: "not probed yet" };
    this.#prober = new Prober(this.name, this.#plan.probe, (healthy, reason) => {
      this.#health = { healthy, reason };
      this.stream.reportHealth(healthy, reason);
    });
    // Until its first success a probed workload gets no traffic.
    this.stream.reportHealth(false, this.#health.reason);
  }
}

/** Istio's labels for metrics, with its fallbacks for what the workload does not say. */
function labelsOf(node: WorkloadNode): WorkloadLabels {
  const { labels } = node;
  const app = labels["app"] ?? labels["app.kubernetes.io/name"] ?? "unknown";
  return {
    workload: node.workload,
    namespace: node.namespace,
    app,
    version: labels["version"] ?? labels["app.kubernetes.io/version"] ?? "unknown",
    canonicalService: labels["service.istio.io/canonical-name"] ?? labels["app.kubernetes.io/name"] ?? labels["app"] ??
      node.workload,
    canonicalRevision: labels["service.istio.io/canonical-revision"] ?? labels["app.kubernetes.io/version"] ??
      labels["version"] ?? "latest",
    cluster: "Kubernetes",
  };
}

function localityOf(text: string): { region: string; zone: string; subZone: string } {
  const [region = "", zone = "", subZone = ""] = text.split("/");
  return { region, zone, subZone };
}
