/** A cluster of one proxy in one data thread: its hosts, which of them may be chosen, and the choice. */
import { ClusterSlot, HostSlot } from "../config/shared_memory.ts";
import type { ClusterConfig, EndpointConfig, EndpointsConfig, UpstreamTlsConfig } from "../config/model.ts";
import { drawHost, type HostSet, hostSet, leastRequest, RoundRobin } from "../../routing/balance/host_set.ts";
import type { ProxyState } from "../worker/proxy_state.ts";
import type { ContextSlot } from "../worker/tls_contexts.ts";
import type { DataThread } from "../worker/thread.ts";
import { HostPool } from "../upstream/host_pool.ts";

/** One endpoint of a cluster. Lives as long as the endpoint is in the configuration, with its pool. */
export class Host {
  readonly pool: HostPool;
  /** `address:port`, for logs. */
  readonly label: string;
  readonly tls: UpstreamTlsConfig | null;
  /** Where the TLS context for this host stands; `null` for a plaintext host. */
  readonly contextSlot: ContextSlot | null;

  constructor(readonly cluster: Cluster, public config: EndpointConfig) {
    this.label = config.port === 0 ? config.address : `${config.address}:${config.port}`;
    this.tls = transportSocket(cluster.config, config);
    this.contextSlot = this.tls === null ? null : cluster.proxy.tls.client(this.tls);
    this.pool = new HostPool(this);
  }

  get weight(): number {
    return this.config.weight;
  }

  get slot(): number {
    return this.config.slot;
  }
}

/** The transport socket of an endpoint: by the first match whose labels it has all of, else the cluster's own. */
function transportSocket(cluster: ClusterConfig, endpoint: EndpointConfig): UpstreamTlsConfig | null {
  for (const { match, tls } of cluster.transportSocketMatches) {
    if (Object.entries(match).every(([key, value]) => endpoint.transportSocketMatch[key] === value)) return tls;
  }
  return cluster.tls;
}

export class Cluster {
  readonly shared: Int32Array;
  #panicThreshold = 50;
  /** By priority, the configured hosts: all, and those not marked unhealthy. */
  #priorities: { all: Host[]; healthy: Host[] }[] = [];
  #hosts = new Map<string, Host>();
  #set: HostSet<Host> | null = null;
  /** Which hosts were ejected when {@link #set} was made. */
  #setSignature = 0;
  readonly #roundRobin = new RoundRobin<Host>();

  constructor(readonly thread: DataThread, readonly proxy: ProxyState, readonly config: ClusterConfig) {
    this.shared = thread.shared;
  }

  /** Replaces the endpoints. One that stays keeps its pool and its record; one that goes is drained. */
  setEndpoints(endpoints: EndpointsConfig): void {
    const before = this.#hosts;
    this.#hosts = new Map();
    this.#priorities = [];
    this.#panicThreshold = this.config.panicThreshold ?? endpoints.panicThreshold;
    for (const { priority, endpoints: list } of endpoints.localities) {
      const level = this.#priorities[priority] ??= { all: [], healthy: [] };
      for (const config of list) {
        const key = `${config.address} ${config.port} ${JSON.stringify(config.transportSocketMatch)}`;
        if (this.#hosts.has(key)) continue;
        let host = before.get(key);
        if (host === undefined) host = new Host(this, config);
        else host.config = config;
        before.delete(key);
        this.#hosts.set(key, host);
        level.all.push(host);
        if (config.healthy) level.healthy.push(host);
      }
    }
    this.#set = null;
    for (const host of before.values()) host.pool.drain();
  }

  /** Connections are closed as they become free; waiting requests go on. */
  drain(): void {
    for (const host of this.#hosts.values()) host.pool.drain();
  }

  /** Idle connections whose certificate has been replaced are closed, busy ones after their request. */
  renewConnections(): void {
    for (const host of this.#hosts.values()) host.pool.renew();
  }

  /**
   * Chooses a host, `null` when there is none. Hosts in `avoid` are passed over for some draws, so that a retry
   * goes elsewhere (Envoy's previous_hosts predicate).
   */
  choose(avoid: readonly Host[] | null, attempts: number): Host | null {
    const set = this.#eligible();
    if (set.hosts.length === 0) return null;
    let host = this.#draw(set);
    if (avoid !== null) {
      for (let i = 1; i < attempts && avoid.includes(host); i++) host = this.#draw(set);
    }
    return host;
  }

  #draw(set: HostSet<Host>): Host {
    switch (this.config.lbPolicy) {
      case "ROUND_ROBIN":
        return this.#roundRobin.next(set, Math.random());
      case "RANDOM":
        return drawHost(set, Math.random());
      case "LEAST_REQUEST":
        if (set.hosts.length === 1) return set.hosts[0];
        return leastRequest(set, this.#activeRequests, Math.random(), Math.random());
    }
  }

  readonly #activeRequests = (host: Host): number => Atomics.load(this.shared, host.slot + HostSlot.activeRequests);

  /** The hosts to choose among: healthy, not ejected, of the first priority that has any; in panic all. */
  #eligible(): HostSet<Host> {
    const ejected = Atomics.load(this.shared, this.config.slot + ClusterSlot.ejectedHosts);
    // While hosts are ejected, which ones may change at any moment: by this thread, another or the sweep.
    const signature = ejected <= 0 ? 0 : this.#ejectionSignature();
    if (this.#set !== null && signature === this.#setSignature) return this.#set;
    this.#setSignature = signature;
    return this.#set = hostSet(this.#eligibleHosts());
  }

  #eligibleHosts(): Host[] {
    for (const level of this.#priorities) {
      if (level === undefined) continue;
      const usable = level.healthy.filter((host) => !this.#isEjected(host));
      if (usable.length * 100 < this.#panicThreshold * level.all.length) return level.all;
      if (usable.length > 0) return usable;
    }
    return [];
  }

  #ejectionSignature(): number {
    let signature = 1;
    for (const host of this.#hosts.values()) {
      signature = Math.imul(signature, 31) + (this.#isEjected(host) ? host.slot + 1 : 0) | 0;
    }
    return signature;
  }

  #isEjected(host: Host): boolean {
    return Atomics.load(this.shared, host.slot + HostSlot.ejected) === 1;
  }

  /** How many hosts there are, for the limit on ejections. */
  get size(): number {
    return this.#hosts.size;
  }
}
