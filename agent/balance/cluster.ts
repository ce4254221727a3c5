/** A cluster of one proxy in one data thread: its hosts, which of them may be chosen, and the choice. */
import { ActiveHealth, ClusterSlot, HostSlot } from "../config/shared_memory.ts";
import type {
  ClusterConfig,
  EndpointConfig,
  EndpointsConfig,
  ProxyProtocolVersion,
  UpstreamTlsConfig,
} from "../config/model.ts";
import { BoundedLoad } from "../../routing/balance/bounded_load.ts";
import { type HashedHost, HashRing, MaglevTable } from "../../routing/balance/consistent_hash.ts";
import { EdfScheduler } from "../../routing/balance/edf.ts";
import { HostSelection, type LocalityHosts, type Picker } from "../../routing/balance/host_selection.ts";
import { drawHost, hostSet, leastRequest, RoundRobin } from "../../routing/balance/host_set.ts";
import { slowStartFactor } from "../../routing/balance/slow_start.ts";
import { Hash64 } from "../../routing/balance/xx_hash.ts";
import type { ProxyState } from "../worker/proxy_state.ts";
import type { ContextSlot } from "../worker/tls_contexts.ts";
import type { DataThread } from "../worker/thread.ts";
import { HealthChecker } from "../health_check/health_checker.ts";
import { PeerVerification } from "../identify/peer_verification.ts";
import { DynamicHosts } from "./dynamic_hosts.ts";
import { HostPool } from "../upstream/host_pool.ts";

/** One endpoint of a cluster. Lives as long as the endpoint is in the configuration, with its pool. */
export class Host {
  readonly pool: HostPool;
  /** Within the cluster; 0 is the most preferred. */
  priority = 0;
  /** On the loop's clock: slow start counts from here. */
  readonly addedAt: number;
  readonly tls: UpstreamTlsConfig | null;
  /** Of the header that tells it who the caller is; `null`: none goes out. */
  readonly proxyProtocol: ProxyProtocolVersion | null;
  /** Where the TLS context for this host stands; `null` for a plaintext host. */
  readonly contextSlot: ContextSlot | null;
  /** What its certificate must be; `null` for a plaintext host. */
  readonly verification: PeerVerification | null;

  constructor(readonly cluster: Cluster, public config: EndpointConfig) {
    this.addedAt = cluster.thread.loop.now;
    const { tls, proxyProtocol } = transportSocket(cluster.config, config);
    this.tls = tls;
    this.proxyProtocol = proxyProtocol ?? null;
    this.contextSlot = this.tls === null ? null : cluster.proxy.tls.client(this.tls);
    this.verification = this.tls === null ? null : new PeerVerification(this.tls);
    this.pool = new HostPool(this);
  }

  /** `address:port`, for logs. */
  get label(): string {
    const { address, port } = this.config;
    return port === 0 ? address : `${address}:${port}`;
  }

  /** What its places in hash tables depend on, as Envoy writes addresses. */
  get hashKey(): string {
    const { hashKey, address, port } = this.config;
    if (hashKey !== undefined) return hashKey;
    return port === 0 ? address : address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
  }

  get weight(): number {
    return this.config.weight;
  }

  get slot(): number {
    return this.config.slot;
  }
}

/** The transport socket of an endpoint: by the first match whose labels it has all of, else the cluster's own. */
function transportSocket(
  cluster: ClusterConfig,
  endpoint: EndpointConfig,
): Pick<ClusterConfig, "tls" | "proxyProtocol"> {
  const matching = cluster.transportSocketMatches.find(({ match }) =>
    Object.entries(match).every(([key, value]) => endpoint.transportSocketMatch[key] === value)
  );
  return matching ?? cluster;
}

export class Cluster {
  readonly shared: Int32Array;
  #endpoints: EndpointsConfig | null = null;
  /** By priority, then by locality. */
  #levels: { weight: number; hosts: Host[] }[][] = [];
  #hosts = new Map<string, Host>();
  #selection: HostSelection<Host> | null = null;
  /** State of the hosts' health when {@link #selection} was made. */
  #healthVersion = 0;
  readonly #anyKey = new Hash64();
  /** `null` but for a cluster whose requests name their hosts. */
  readonly dynamic: DynamicHosts | null;
  /** `null` in all threads but one, and where the cluster has no checks. */
  readonly #checker: HealthChecker | null;

  constructor(readonly thread: DataThread, readonly proxy: ProxyState, readonly config: ClusterConfig) {
    this.shared = thread.shared;
    const { healthCheck, dynamic, name } = config;
    this.dynamic = dynamic === undefined ? null : new DynamicHosts(
      thread,
      dynamic,
      (question) => thread.post({ kind: "resolve", proxy: proxy.description.proxy, cluster: name, ...question }),
    );
    this.#checker = healthCheck === undefined || thread.index !== 0 ? null : new HealthChecker(this, healthCheck);
  }

  /** Replaces the endpoints. One that stays keeps its pool and its record; one that goes is drained. */
  setEndpoints(endpoints: EndpointsConfig): void {
    const before = this.#hosts;
    this.#hosts = new Map();
    this.#levels = [];
    this.#endpoints = endpoints;
    for (const { priority, weight, endpoints: list } of endpoints.localities) {
      // Priorities that are left out have no hosts.
      while (this.#levels.length <= priority) this.#levels.push([]);
      const hosts: Host[] = [];
      this.#levels[priority].push({ weight, hosts });
      for (const config of list) {
        const named = config.logicalName ?? config.address;
        const key = `${named} ${config.port} ${JSON.stringify(config.transportSocketMatch)}`;
        if (this.#hosts.has(key)) continue;
        let host = before.get(key);
        if (host === undefined) host = new Host(this, config);
        else host.config = config;
        host.priority = priority;
        before.delete(key);
        this.#hosts.set(key, host);
        hosts.push(host);
      }
    }
    this.#selection = null;
    this.dynamic?.set(this.#hosts.values(), endpoints.unresolved ?? []);
    this.#checker?.setHosts(this.#hosts.values());
    for (const host of before.values()) host.pool.drain();
  }

  /** Connections are closed as they become free; waiting requests go on. */
  drain(): void {
    this.#checker?.stop();
    for (const host of this.#hosts.values()) host.pool.drain();
  }

  /** Idle connections whose certificate has been replaced are closed, busy ones after their request. */
  renewConnections(): void {
    for (const host of this.#hosts.values()) host.pool.renew();
  }

  /**
   * Chooses a host, `null` when there is none. Hosts in `avoid` are passed over for some draws, so that a retry
   * goes elsewhere (Envoy's previous_hosts predicate), and so are the priorities in `left` while others have hosts
   * (previous_priorities). Where the policy is a hash, `key` decides. A cluster whose requests name their hosts has
   * none to choose among.
   */
  choose(
    avoid: readonly Host[] | null,
    attempts: number,
    key: Hash64 | null = null,
    left: ReadonlySet<number> | null = null,
  ): Host | null {
    if (this.dynamic !== null) return null;
    const selection = this.#currentSelection();
    const known = this.#keyed && key === null ? this.#randomKey() : key;
    let host = selection.choose(known, 0, left);
    if (avoid !== null) {
      for (let i = 1; i < attempts && host !== null && avoid.includes(host); i++) {
        host = selection.choose(known, i, left);
      }
    }
    return host;
  }

  /** The hosts to choose among; made anew when any host of the cluster changed its health, in whatever thread. */
  #currentSelection(): HostSelection<Host> {
    const version = Atomics.load(this.shared, this.config.slot + ClusterSlot.healthVersion);
    if (this.#selection !== null && version === this.#healthVersion) return this.#selection;
    this.#healthVersion = version;
    const levels = this.#levels.map((localities) =>
      localities.map(({ weight, hosts }): LocalityHosts<Host> => ({
        weight,
        all: hosts,
        available: hosts.filter((host) => this.#isAvailable(host)),
      }))
    );
    const options = {
      overprovisioningFactor: this.#endpoints?.overprovisioningFactor ?? 140,
      panicThreshold: this.config.panicThreshold ?? this.#endpoints?.panicThreshold ?? 50,
      localityWeighted: this.config.localityWeighted === true,
      keyed: this.#keyed,
    };
    return this.#selection = new HostSelection(levels, options, this.#newPicker, Math.random);
  }

  get #keyed(): boolean {
    return this.config.lbPolicy === "RING_HASH" || this.config.lbPolicy === "MAGLEV";
  }

  /** For a request that no hash policy applies to. */
  #randomKey(): Hash64 {
    const key = this.#anyKey;
    key.high = Math.floor(Math.random() * 2 ** 32);
    key.low = Math.floor(Math.random() * 2 ** 32);
    return key;
  }

  readonly #newPicker = (hosts: readonly Host[], weights: readonly number[] | null): Picker<Host> => {
    switch (this.config.lbPolicy) {
      case "ROUND_ROBIN": {
        const set = hostSet(hosts);
        const roundRobin = new RoundRobin<Host>();
        return this.#warming(hosts, (host) => host.weight, { pick: () => roundRobin.next(set, Math.random()) });
      }
      case "RANDOM": {
        const set = hostSet(hosts);
        return { pick: () => drawHost(set, Math.random()) };
      }
      case "LEAST_REQUEST": {
        if (hosts.length === 1) return { pick: () => hosts[0] };
        const { choiceCount, activeRequestBias } = this.config.leastRequest ?? { choiceCount: 2, activeRequestBias: 1 };
        const weightOf = (host: Host) => host.weight / Math.pow(this.#activeRequests(host) + 1, activeRequestBias);
        const equal = hosts.every(({ weight }) => weight === hosts[0].weight);
        const plain = equal
          ? { pick: () => leastRequest(hosts, this.#activeRequests, choiceCount, Math.random) }
          : inTurn(hosts, weightOf);
        return this.#warming(hosts, weightOf, plain);
      }
      case "RING_HASH":
      case "MAGLEV":
        return this.#newTable(hosts, weights);
    }
  };

  /** While a host warms up, hosts take turns by their weights as far as they have come to them. */
  #warming(hosts: readonly Host[], weightOf: (host: Host) => number, plain: Picker<Host>): Picker<Host> {
    const { slowStart } = this.config;
    if (slowStart === undefined) return plain;
    const { loop } = this.thread;
    const warmAt = Math.max(...hosts.map(({ addedAt }) => addedAt)) + slowStart.window;
    if (warmAt <= loop.now) return plain;
    const warming = inTurn(
      hosts,
      (host: Host) => weightOf(host) * Math.max(1e-6, slowStartFactor(loop.now - host.addedAt, slowStart)),
    );
    return { pick: (key, attempt) => (loop.now < warmAt ? warming : plain).pick(key, attempt) };
  }

  #newTable(hosts: readonly Host[], weights: readonly number[] | null): Picker<Host> {
    const hashed = hosts.map((host, i): HashedHost<Host> => ({
      host,
      key: host.hashKey,
      weight: weights === null ? host.weight : weights[i],
    }));
    const { ringHash, maglevTableSize, hashBalanceFactor } = this.config;
    const table = ringHash !== undefined ? new HashRing(hashed, ringHash) : new MaglevTable(hashed, maglevTableSize!);
    const bounded = hashBalanceFactor === undefined ? table : new BoundedLoad(hashed, table, hashBalanceFactor, {
      ofHost: this.#activeRequests,
      ofCluster: this.#allRequests,
    });
    return { pick: (key, attempt) => bounded.find(key!, attempt) };
  }

  readonly #activeRequests = (host: Host): number => Atomics.load(this.shared, host.slot + HostSlot.activeRequests);

  readonly #allRequests = (): number => Atomics.load(this.shared, this.config.slot + ClusterSlot.activeRequests);

  #isAvailable({ config, slot }: Host): boolean {
    return config.healthy && Atomics.load(this.shared, slot + HostSlot.ejected) !== 1 &&
      (this.config.healthCheck === undefined || config.healthCheck?.disabled === true ||
        Atomics.load(this.shared, slot + HostSlot.activeHealth) === ActiveHealth.healthy);
  }

  /** How many hosts there are, for the limit on ejections. */
  get size(): number {
    return this.#hosts.size;
  }
}

function inTurn(hosts: readonly Host[], weightOf: (host: Host) => number): Picker<Host> {
  const scheduler = new EdfScheduler(hosts, weightOf, Math.random);
  return { pick: () => scheduler.next() };
}
