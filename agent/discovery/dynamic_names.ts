/**
 * The hosts of clusters whose requests name them: resolved when a data thread asks, kept resolved while requests use
 * them. They reach the data threads as endpoints do.
 */
import type { EndpointConfig, EndpointsConfig } from "../config/model.ts";
import type { DynamicHostsConfig } from "../config/name_resolution.ts";
import type { NameWatch } from "../dns/watched_names.ts";
import type { NameSource } from "./dns_endpoints.ts";

/** A cluster's name with how its hosts come. */
export interface DynamicCluster {
  cluster: string;
  config: DynamicHostsConfig;
}

/** Whether the agent may dial this address on behalf of whoever named it. */
export type MayDial = (address: string, port: number) => boolean;

interface Wanted {
  name: string;
  port: number;
  watch: NameWatch;
  /** Of the first address that may be dialled; `null`: there is none; absent: to be found. */
  endpoint?: EndpointConfig | null;
  /** By `performance.now()`. */
  usedAt: number;
}

interface Entry {
  config: DynamicHostsConfig;
  /** By `name port`, least recently used first. */
  hosts: Map<string, Wanted>;
  /** `null`: something has changed since it was made. */
  endpoints: EndpointsConfig | null;
}

/** How often unused hosts are looked for, milliseconds. */
const sweepInterval = 30_000;

export class DynamicNames {
  readonly #names: NameSource;
  readonly #mayDial: MayDial;
  readonly #changed: () => void;
  readonly #entries = new Map<string, Entry>();
  #sweepTimer: ReturnType<typeof setInterval> | undefined;

  /** @param changed called when the hosts of some cluster have changed */
  constructor(names: NameSource, mayDial: MayDial, changed: () => void) {
    this.#names = names;
    this.#mayDial = mayDial;
    this.#changed = changed;
  }

  /** From now on these clusters have hosts, and no others. */
  set(clusters: Iterable<DynamicCluster>): void {
    const gone = new Set(this.#entries.keys());
    for (const { cluster, config } of clusters) {
      gone.delete(cluster);
      if (this.#entries.get(cluster)?.config === config) continue;
      this.#forget(cluster);
      this.#entries.set(cluster, { config, hosts: new Map(), endpoints: null });
    }
    gone.forEach((cluster) => this.#forget(cluster));
  }

  /** A request is for this host. */
  ask(cluster: string, name: string, port: number): void {
    const entry = this.#entries.get(cluster);
    if (entry === undefined) return;
    const key = `${name} ${port}`;
    const known = entry.hosts.get(key);
    if (known !== undefined) {
      known.usedAt = performance.now();
      entry.hosts.delete(key);
      entry.hosts.set(key, known);
      return;
    }
    if (entry.hosts.size >= entry.config.maxHosts) {
      const [oldest, { watch }] = [...entry.hosts][0];
      watch.close();
      entry.hosts.delete(oldest);
    }
    const changed = () => {
      delete wanted.endpoint;
      entry.endpoints = null;
      this.#changed();
    };
    const { logical: _, ...options } = entry.config.dns;
    const watch = this.#names.watch(name, options, changed);
    const wanted: Wanted = { name, port, watch, usedAt: performance.now() };
    entry.hosts.set(key, wanted);
    if (watch.addresses !== null) changed();
    this.#sweepTimer ??= setInterval(() => this.#sweep(), sweepInterval);
  }

  /** The hosts of each cluster as their names are resolved now; unchanged ones are the same object. */
  *endpoints(): Iterable<EndpointsConfig> {
    for (const [cluster, entry] of this.#entries) yield entry.endpoints ??= this.#resolved(cluster, entry);
  }

  /** What was asked for each cluster, for statistics. */
  *watches(): Iterable<{ cluster: string; name: string; watch: NameWatch }> {
    for (const [cluster, { hosts }] of this.#entries) {
      for (const { name, watch } of hosts.values()) yield { cluster, name, watch };
    }
  }

  close(): void {
    clearInterval(this.#sweepTimer);
    for (const cluster of [...this.#entries.keys()]) this.#forget(cluster);
  }

  #forget(cluster: string): void {
    for (const { watch } of this.#entries.get(cluster)?.hosts.values() ?? []) watch.close();
    this.#entries.delete(cluster);
  }

  #sweep(): void {
    const now = performance.now();
    for (const entry of this.#entries.values()) {
      const before = entry.hosts.size;
      for (const [key, { usedAt, watch }] of entry.hosts) {
        if (now - usedAt < entry.config.hostTtl) break;
        watch.close();
        entry.hosts.delete(key);
      }
      if (entry.hosts.size === before) continue;
      entry.endpoints = null;
      this.#changed();
    }
  }

  /** Of each name the first address that may be dialled, as Envoy takes the first. */
  #resolved(cluster: string, { hosts }: Entry): EndpointsConfig {
    const endpoints: EndpointConfig[] = [];
    const unresolved: string[] = [];
    for (const [key, wanted] of hosts) {
      const { name, port, watch: { addresses } } = wanted;
      if (addresses === null) continue;
      if (wanted.endpoint === undefined) {
        const address = addresses.find((each) => this.#mayDial(each, port));
        wanted.endpoint = address === undefined ? null : endpoint(name, address, port);
      }
      if (wanted.endpoint === null) unresolved.push(key);
      else endpoints.push(wanted.endpoint);
    }
    return {
      cluster,
      localities: [{ priority: 0, locality: "", weight: 1, endpoints }],
      panicThreshold: 0,
      unresolved,
    };
  }
}

function endpoint(name: string, address: string, port: number): EndpointConfig {
  return {
    address,
    port,
    logicalName: name,
    weight: 1,
    healthy: true,
    transportSocketMatch: {},
    workload: {
      workload: "",
      namespace: "",
      app: "",
      version: "",
      canonicalService: "",
      canonicalRevision: "",
      cluster: "",
    },
    slot: 0,
  };
}
