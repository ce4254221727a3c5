/**
 * Drives real data threads with hand-made configuration: one cluster, one route configuration, one listener, the rest
 * by defaults that a test overrides.
 */
import { AgentSlot, agentSlot } from "../../agent/config/shared_memory.ts";
import assert from "node:assert/strict";
import type {
  ClusterConfig,
  EndpointConfig,
  EndpointsConfig,
  FilterChainConfig,
  HttpConnectionManagerConfig,
  ListenerConfig,
  RouteActionConfig,
  RouteConfig,
  RouteEntryConfig,
  WorkloadLabels,
} from "../../agent/config/model.ts";
import type { ThreadLimits } from "../../agent/config/thread_limits.ts";
import { DataThreads } from "../../agent/supervisor/data_threads.ts";

export const noWorkload: WorkloadLabels = {
  workload: "",
  namespace: "",
  app: "",
  version: "",
  canonicalService: "",
  canonicalRevision: "",
  cluster: "",
};

let lastPort = 20_000 + Math.floor(Math.random() * 10_000);

/**
 * A port that nobody listens on. It lies below those that the kernel gives away by itself: between now and its use no
 * other program's connection takes it.
 */
export function freePort(): number {
  for (;;) {
    lastPort = lastPort < 32_000 ? lastPort + 1 : 20_000;
    try {
      Deno.listen({ hostname: "127.0.0.1", port: lastPort }).close();
      return lastPort;
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    }
  }
}

export function endpoint(port: number, overrides: Partial<EndpointConfig> = {}): EndpointConfig {
  return {
    address: "127.0.0.1",
    port,
    weight: 1,
    healthy: true,
    transportSocketMatch: {},
    workload: noWorkload,
    slot: 0,
    ...overrides,
  };
}

export function endpoints(cluster: string, list: EndpointConfig[], panicThreshold = 0): EndpointsConfig {
  return { cluster, localities: [{ priority: 0, locality: "", weight: 1, endpoints: list }], panicThreshold };
}

export function cluster(overrides: Partial<ClusterConfig> = {}): ClusterConfig {
  return {
    name: "backend",
    type: "static",
    lbPolicy: "ROUND_ROBIN",
    connectTimeout: 2000,
    transportSocketMatches: [],
    tls: null,
    circuitBreakers: { maxConnections: 1024, maxPendingRequests: 1024, maxRequests: 1024, maxRetries: 3 },
    maxRequestsPerConnection: 0,
    idleTimeout: 3_600_000,
    tcpKeepalive: null,
    outlierDetection: null,
    service: { host: "backend.default.svc.cluster.local", name: "backend", namespace: "default" },
    slot: 0,
    ...overrides,
  };
}

export const noMutation = { set: [], remove: [] };

export function forwardTo(name: string, overrides: Partial<RouteActionConfig> = {}): RouteActionConfig {
  return {
    kind: "route",
    clusters: [{ name, weight: 1, requestHeaders: noMutation, responseHeaders: noMutation }],
    timeout: 0,
    idleTimeout: null,
    retry: null,
    prefixRewrite: "",
    regexRewrite: null,
    hostRewrite: "",
    ...overrides,
  };
}

export function route(overrides: Partial<RouteEntryConfig> = {}): RouteEntryConfig {
  return {
    name: "",
    match: {
      path: { kind: "prefix", value: "/", ignoreCase: false },
      headers: [],
      queryParameters: [],
      fraction: null,
    },
    action: forwardTo("backend"),
    requestHeaders: noMutation,
    responseHeaders: noMutation,
    fault: null,
    ...overrides,
  };
}

export function routes(list: RouteEntryConfig[], domains = ["*"]): RouteConfig {
  return { name: "routes", virtualHosts: [{ name: "all", domains, routes: list }] };
}

export function connectionManager(overrides: Partial<HttpConnectionManagerConfig> = {}): HttpConnectionManagerConfig {
  return {
    statPrefix: "test",
    routeConfigName: "routes",
    serverName: "skiff",
    streamIdleTimeout: 300_000,
    requestHeadersTimeout: 60_000,
    idleTimeout: 3_600_000,
    maxRequestHeadersBytes: 60 * 1024,
    useRemoteAddress: false,
    generateRequestId: true,
    forwardClientCertDetails: "SANITIZE",
    httpFilters: ["fault", "router"],
    upgradeTypes: ["websocket"],
    ...overrides,
  };
}

export function filterChain(overrides: Partial<FilterChainConfig> = {}): FilterChainConfig {
  return {
    name: "",
    serverNames: [],
    transportProtocol: "",
    applicationProtocols: [],
    tls: null,
    http: connectionManager(),
    tcp: null,
    ...overrides,
  };
}

export function listener(port: number, overrides: Partial<ListenerConfig> = {}): ListenerConfig {
  return {
    name: `127.0.0.1_${port}`,
    address: "127.0.0.1",
    port,
    direction: "outbound",
    filterChains: [filterChain()],
    accessLog: [],
    ...overrides,
  };
}

/** What starts one proxy on a port of its own: a cluster `backend` of these ports, all requests routed to it. */
export function simpleSetup(
  port: number,
  backendPorts: number[],
  overrides: {
    cluster?: Partial<ClusterConfig>;
    action?: Partial<RouteActionConfig>;
    http?: Partial<HttpConnectionManagerConfig>;
    listener?: Partial<ListenerConfig>;
  } = {},
): ProxySetup {
  return {
    clusters: [cluster(overrides.cluster)],
    endpoints: [endpoints("backend", backendPorts.map((backendPort) => endpoint(backendPort)))],
    routes: [routes([route({ action: forwardTo("backend", overrides.action) })])],
    listeners: [
      listener(port, {
        filterChains: [filterChain({ http: connectionManager(overrides.http) })],
        ...overrides.listener,
      }),
    ],
  };
}

export interface ProxySetup {
  proxy?: string;
  principal?: string;
  clusters?: ClusterConfig[];
  endpoints?: EndpointsConfig[];
  routes?: RouteConfig[];
  listeners?: ListenerConfig[];
}

/** Data threads with one or several proxies. Dispose with `await using`. */
export class TestProxy implements AsyncDisposable {
  private constructor(readonly threads: DataThreads) {}

  static async start(setup: ProxySetup, workers = 1, limits: Partial<ThreadLimits> = {}): Promise<TestProxy> {
    const proxy = new TestProxy(await DataThreads.start({ count: workers, limits }));
    await proxy.configure(setup);
    return proxy;
  }

  async configure(setup: ProxySetup): Promise<void> {
    const proxy = setup.proxy ?? "client";
    const principal = setup.principal ?? `spiffe://cluster.local/ns/default/sa/${proxy}`;
    const workload = { ...noWorkload, workload: proxy, namespace: "default", app: proxy, version: "v1" };
    await this.threads.apply({ kind: "proxy", description: { proxy, principal, workload } });
    await this.update(setup);
  }

  /** {@link simpleSetup} on a free port. */
  static async simple(
    backendPorts: number[],
    overrides: Parameters<typeof simpleSetup>[2] = {},
    workers = 1,
  ): Promise<{ proxy: TestProxy; port: number }> {
    const port = freePort();
    return { proxy: await TestProxy.start(simpleSetup(port, backendPorts, overrides), workers), port };
  }

  async update(setup: ProxySetup & { removedListeners?: string[]; removedClusters?: string[] }): Promise<void> {
    await this.threads.apply({
      kind: "resources",
      proxy: setup.proxy ?? "client",
      clusters: setup.clusters ?? [],
      removedClusters: setup.removedClusters ?? [],
      endpoints: setup.endpoints ?? [],
      routes: setup.routes ?? [],
      removedRoutes: [],
      listeners: setup.listeners ?? [],
      removedListeners: setup.removedListeners ?? [],
    });
  }

  /** How many requests ended how: `200 -`, `503 URX,UF` …, as the metrics count them. */
  recorded(): Record<string, number> {
    const counts: Record<string, number> = {};
    for (const { metric, labels, values } of this.threads.series()) {
      if (metric !== "istio_requests_total") continue;
      const key = `${labels.response_code} ${labels.response_flags}`;
      counts[key] = (counts[key] ?? 0) + values[0];
    }
    return counts;
  }

  /** Callers' connections. */
  get downstreamConnections(): number {
    return Atomics.load(this.threads.slots.counters, agentSlot + AgentSlot.connections);
  }

  /** One of `ClusterSlot`'s counters. */
  clusterCounter(counter: number, name = "backend"): number {
    const place = [...this.threads.slots.clusters()].find(({ cluster }) => cluster === name)!;
    return Atomics.load(this.threads.slots.counters, place.slot + counter);
  }

  /** One of `HostSlot`'s counters, by port. */
  hostCounters(counter: number, name = "backend"): Map<number, number> {
    return new Map(
      [...this.threads.slots.hosts()].filter(({ cluster }) => cluster === name).map(({ host, slot }) => [
        Number(/\d+$/.exec(host)![0]),
        Atomics.load(this.threads.slots.counters, slot + counter),
      ]),
    );
  }

  /** Ends the threads; fails when one has crashed or told of a fault. */
  async [Symbol.asyncDispose](): Promise<void> {
    const { crashes } = this.threads;
    await this.threads.stop();
    assert.equal(crashes, 0, "a data thread has crashed");
    assert.deepEqual(faults.splice(0), [], "a data thread has told of a fault");
  }
}

/** What data threads have logged as errors. */
const faults: string[] = [];
const writeToStderr = Deno.stderr.writeSync.bind(Deno.stderr);
Deno.stderr.writeSync = (bytes) => {
  const text = new TextDecoder().decode(bytes);
  if (/ error data-thread: /.test(text)) faults.push(text);
  // What is expected to be logged would only be in the way of the test report.
  return / data-thread: /.test(text) ? bytes.length : writeToStderr(bytes);
};

/** A real HTTP server of the test's own on a free port. */
export class Backend implements AsyncDisposable {
  readonly port: number;
  requests = 0;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  constructor(handler: (request: Request) => Response | Promise<Response>) {
    this.#server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
      this.requests++;
      return handler(request);
    });
    this.port = this.#server.addr.port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

/** Sends raw bytes and returns all that comes back until the connection ends or is quiet for `quiet` milliseconds. */
export async function rawExchange(port: number, request: string | Uint8Array, quiet = 300): Promise<string> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  const bytes = typeof request === "string" ? new TextEncoder().encode(request) : request;
  for (let sent = 0; sent < bytes.length;) sent += await connection.write(bytes.subarray(sent));
  let text = "";
  const buffer = new Uint8Array(65536);
  for (;;) {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const pause = new Promise<null>((resolve) => timer = setTimeout(() => resolve(null), quiet));
    const count = await Promise.race([connection.read(buffer).catch(() => null), pause]);
    clearTimeout(timer);
    if (count === null) return text;
    text += new TextDecoder("latin1").decode(buffer.subarray(0, count));
  }
}
