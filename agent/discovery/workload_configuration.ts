/** One workload's configuration: what the control plane said, kept on disk, translated and handed to the data threads. */
import { logger } from "../../log/log.ts";
import type { SecretConfig } from "../config/model.ts";
import type { Configuration, ResourceUpdate } from "./ads_client.ts";
import { type DnsCluster, DnsEndpoints, type NameSource } from "./dns_endpoints.ts";
import { type DynamicCluster, DynamicNames, type MayDial } from "./dynamic_names.ts";
import {
  type Change,
  type ConfigurationSet,
  emptyChange,
  emptySet,
  isEmpty,
  MakeBeforeBreak,
} from "./make_before_break.ts";
import { reasonOf } from "./reason.ts";
import { routesOf } from "./references.ts";
import { ResourceCache, ResourceCacheError } from "./resource_cache.ts";
import type { Translate, Translated } from "./translation.ts";
import { clusterType, endpointType, listenerType, type ResourceType, resourceTypes, routeType } from "./type_urls.ts";

const log = logger("discovery");
const saveDelay = 500;
/** Between attempts to open listeners, milliseconds: doubled each time. */
const firstRetry = 1000;
const longestRetry = 15_000;
const all: ReadonlySet<string> = new Set(["*"]);

export interface WorkloadConfigurationOptions {
  /** Named in log lines. */
  workload: string;
  /** Whose resources these are (the node id and the identity): a file of somebody else's is not read. */
  owner: string;
  translate: Translate;
  /** Hands a change to the data threads; rejects when they could not apply all of it. */
  apply(change: Change): Promise<void>;
  /** Resolves the names that clusters have. */
  names: NameSource;
  /** Which addresses may be dialled where requests name them. */
  mayDial: MayDial;
  /** The file with the last good resources. */
  storage: { read(): Promise<string | null>; write(text: string): Promise<void> };
}

export class WorkloadConfiguration implements Configuration {
  readonly #options: WorkloadConfigurationOptions;
  readonly #translated = new Map<ResourceType, Map<string, Translated>>(resourceTypes.map((type) => [type, new Map()]));
  readonly #makeBeforeBreak = new MakeBeforeBreak();
  #cache = new ResourceCache();
  #wanted: ConfigurationSet = emptySet();
  #saveTimer: ReturnType<typeof setTimeout> | undefined;
  #saving: Promise<void> = Promise.resolve();
  #retryTimer: ReturnType<typeof setTimeout> | undefined;
  #stepTimer: ReturnType<typeof setTimeout> | undefined;
  #applying: Promise<void> = Promise.resolve();
  #failure: string | null = null;
  readonly #dns: DnsEndpoints;
  readonly #dynamic: DynamicNames;
  #resolvedTimer: ReturnType<typeof setTimeout> | undefined;
  #complete = false;

  constructor(options: WorkloadConfigurationOptions) {
    this.#options = options;
    this.#dns = new DnsEndpoints(options.names, () => this.#resolved());
    this.#dynamic = new DynamicNames(options.names, options.mayDial, () => this.#resolved());
  }

  /** A data thread has a request for this host of a cluster whose requests name their hosts. */
  resolve(cluster: string, name: string, port: number): void {
    this.#dynamic.ask(cluster, name, port);
  }

  /** Applies what the last run left on disk. A damaged or foreign file is ignored. */
  async restore(): Promise<void> {
    const text = await this.#options.storage.read();
    if (text === null) return;
    try {
      const cache = ResourceCache.parse(text, this.#options.owner);
      for (const type of resourceTypes) {
        const translated = this.#translated.get(type)!;
        for (const [name, { value }] of cache.of(type)) {
          translated.set(name, this.#options.translate(type, name, value));
        }
      }
      this.#cache = cache;
    } catch (error) {
      for (const translated of this.#translated.values()) translated.clear();
      const reason = error instanceof ResourceCacheError
        ? reasonOf(error)
        : `it cannot be executed: ${reasonOf(error)}`;
      log.warn("the saved configuration is ignored", { workload: this.#options.workload, reason });
      return;
    }
    log.info("serving the saved configuration until the control plane answers", { workload: this.#options.workload });
    await this.#publish().catch(() => {});
  }

  /**
   * See {@link Configuration}. Of a response with resources that cannot be executed the others are taken, as by Envoy;
   * the verdict names every one that was not, and its last good version stays.
   */
  async update(updates: ResourceUpdate[]): Promise<(string | null)[]> {
    const verdicts = updates.map((update) => this.#take(update));
    try {
      await this.#publish();
    } catch (error) {
      // A listener that cannot be bound is refused, as Envoy does it; anything else the log has told.
      const listeners = updates.findLastIndex((update) => update.type === listenerType);
      if (listeners >= 0) verdicts[listeners] ??= reasonOf(error);
    }
    this.#scheduleSave();
    return verdicts;
  }

  wanted(type: ResourceType): ReadonlySet<string> {
    switch (type) {
      case clusterType:
      case listenerType:
        return all;
      case endpointType:
        return new Set(
          [...this.#wanted.clusters.values()].filter((cluster) => cluster.type === "eds").map((cluster) =>
            cluster.name
          ),
        );
      case routeType: {
        const inline = new Set(
          [...this.#translated.get(listenerType)!.values()].flatMap((one) => one.routes.map((route) => route.name)),
        );
        const names = [...this.#wanted.listeners.values()].flatMap((listener) => [...routesOf(listener)]);
        return new Set(names.filter((name) => !inline.has(name)));
      }
    }
  }

  versions(type: ResourceType): Record<string, string> {
    return this.#cache.versions(type);
  }

  /** What the first complete configuration still lacks, in words; `null`: nothing. */
  missing(): string | null {
    if (this.#complete) return null;
    if (!this.#cache.heard(clusterType)) return "no clusters yet";
    for (const name of this.wanted(endpointType)) {
      if (!this.#cache.answered(endpointType, name)) return `no endpoints of ${name} yet`;
    }
    if (!this.#cache.heard(listenerType)) return "no listeners yet";
    for (const name of this.wanted(routeType)) {
      if (!this.#cache.answered(routeType, name)) return `no routes ${name} yet`;
    }
    if (this.#failure !== null) return this.#failure;
    this.#complete = true;
    return null;
  }

  /** What the data threads execute now. */
  get inForce(): ConfigurationSet {
    return this.#makeBeforeBreak.inForce;
  }

  /** Certificates and trust bundles that stand in resources, by name. */
  secrets(): Map<string, SecretConfig> {
    const all = [...this.#translated.values()].flatMap((named) => [...named.values()].flatMap((one) => one.secrets));
    return new Map(all.map((secret) => [secret.name, secret]));
  }

  /** The names that clusters have, for statistics. */
  *watchedNames(): ReturnType<DnsEndpoints["watches"]> {
    yield* this.#dns.watches();
    yield* this.#dynamic.watches();
  }

  /** Version of each resource that was accepted last. */
  acceptedVersions(): { type: ResourceType; versions: Record<string, string> }[] {
    return resourceTypes.map((type) => ({ type, versions: this.#cache.versions(type) }));
  }

  /** Writes what is still unwritten and rests. */
  async close(): Promise<void> {
    clearTimeout(this.#stepTimer);
    clearTimeout(this.#retryTimer);
    clearTimeout(this.#resolvedTimer);
    this.#dns.close();
    this.#dynamic.close();
    if (this.#saveTimer !== undefined) {
      clearTimeout(this.#saveTimer);
      this.#save();
    }
    await this.#saving;
    await this.#applying.catch(() => {});
  }

  /** Takes over what can be executed of one response, and says why not all of it. */
  #take(update: ResourceUpdate): string | null {
    const problems: string[] = [];
    const held = this.#translated.get(update.type)!;
    for (const { name, version, value } of update.resources) {
      try {
        held.set(name, this.#options.translate(update.type, name, value));
        this.#cache.set(update.type, name, { version, value });
      } catch (error) {
        const reason = reasonOf(error);
        problems.push(reason.includes(`${name}:`) ? reason : `${name}: ${reason}`);
      }
    }
    for (const name of update.removed) {
      if (update.type === endpointType) held.set(name, withoutEndpoints(name));
      else held.delete(name);
      // Under a wildcard a removed resource is just gone; one asked for by name is known not to be there.
      if (this.wanted(update.type) === all) this.#cache.forget(update.type, name);
      else this.#cache.setAbsent(update.type, name);
    }
    this.#cache.setHeard(update.type);
    return problems.length === 0 ? null : problems.join("; ");
  }

  /** Names that are resolved together change the configuration once. */
  #resolved(): void {
    clearTimeout(this.#resolvedTimer);
    this.#resolvedTimer = setTimeout(() => this.#publish().catch(() => {}), 0);
  }

  #publish(): Promise<void> {
    this.#dns.set(this.#dnsClusters());
    this.#dynamic.set(this.#dynamicClusters());
    this.#wanted = this.#collect();
    this.#prune();
    return this.#step();
  }

  #step(): Promise<void> {
    clearTimeout(this.#stepTimer);
    const answered = {
      endpoints: (cluster: string) => {
        const type = this.#wanted.clusters.get(cluster)?.type;
        // Its hosts come with the requests.
        if (type === "dynamic") return true;
        return type === "dns" ? this.#dns.answered(cluster) : this.#cache.answered(endpointType, cluster);
      },
      route: (name: string) => this.#cache.answered(routeType, name),
    };
    const now = performance.now();
    const change = this.#makeBeforeBreak.step(this.#wanted, answered, now);
    const deadline = this.#makeBeforeBreak.deadline;
    if (deadline !== null) this.#stepTimer = setTimeout(() => this.#step().catch(() => {}), deadline - now + 1);
    if (isEmpty(change)) return this.#applying.catch(() => {});
    const applied = this.#options.apply(change).then(() => {
      this.#failure = null;
    }, (error) => {
      this.#failure = `the data threads could not apply the configuration: ${reasonOf(error)}`;
      log.error(this.#failure, { workload: this.#options.workload });
      this.#retryListeners(firstRetry);
      throw error;
    });
    this.#applying = applied.catch(() => {});
    return applied;
  }

  #dnsClusters(): Map<string, DnsCluster> {
    const clusters = [...this.#translated.get(clusterType)!.values()].flatMap(({ dns }) => dns ?? []);
    return new Map(clusters.map((cluster) => [cluster.endpoints.cluster, cluster]));
  }

  #dynamicClusters(): DynamicCluster[] {
    return [...this.#translated.get(clusterType)!.values()].flatMap(({ dynamic }) => dynamic ?? []);
  }

  /** An address may be somebody else's for now: listeners that could not be opened are tried again. */
  #retryListeners(delay: number): void {
    clearTimeout(this.#retryTimer);
    this.#retryTimer = setTimeout(() => {
      const listeners = [...this.inForce.listeners.values()];
      const applied = this.#applying.then(() => this.#options.apply({ ...emptyChange(), listeners }));
      this.#applying = applied.then(() => {
        this.#failure = null;
        log.info("the listeners could be opened now", { workload: this.#options.workload });
      }, () => this.#retryListeners(Math.min(delay * 2, longestRetry)));
    }, delay);
  }

  /** All that has been accepted, put together. */
  #collect(): ConfigurationSet {
    const set = emptySet();
    for (const translated of this.#translated.values()) {
      for (const one of translated.values()) {
        for (const cluster of one.clusters) set.clusters.set(cluster.name, cluster);
        for (const endpoints of one.endpoints) set.endpoints.set(endpoints.cluster, endpoints);
        for (const route of one.routes) set.routes.set(route.name, route);
        for (const listener of one.listeners) set.listeners.set(listener.name, listener);
      }
    }
    for (const endpoints of this.#dns.endpoints()) set.endpoints.set(endpoints.cluster, endpoints);
    for (const endpoints of this.#dynamic.endpoints()) set.endpoints.set(endpoints.cluster, endpoints);
    return set;
  }

  /** Forgets what nothing refers to: the subscription to it ends as well. */
  #prune(): void {
    for (const type of [endpointType, routeType] as const) {
      const wanted = this.wanted(type);
      for (const name of [...this.#cache.names(type)]) {
        if (wanted.has(name)) continue;
        this.#cache.forget(type, name);
        this.#translated.get(type)!.delete(name);
      }
    }
    this.#wanted = this.#collect();
  }

  #scheduleSave(): void {
    this.#saveTimer ??= setTimeout(() => this.#save(), saveDelay);
  }

  #save(): void {
    this.#saveTimer = undefined;
    const text = this.#cache.serialize(this.#options.owner);
    this.#saving = this.#saving.then(() => this.#options.storage.write(text)).catch((error) => {
      log.error("the configuration could not be saved", { workload: this.#options.workload, reason: reasonOf(error) });
    });
  }
}

/** A cluster whose endpoints do not exist has none: those it had must go. */
function withoutEndpoints(cluster: string): Translated {
  const endpoints = [{ cluster, localities: [], panicThreshold: 50 }];
  return { clusters: [], endpoints, routes: [], listeners: [], secrets: [] };
}
