/**
 * The HTTP proxy port of an agent with several workloads: whoever comes to it without being one of them is refused.
 *
 * A request must be somebody's, for its identity and its policy; a workload that reaches the mesh through a local
 * address of its own is known by that address.
 */
import { logger } from "../../log/log.ts";
import type { DataThreads } from "./data_threads.ts";
import type { Series } from "./series.ts";
import type { ControlChange } from "./thread_state.ts";

const log = logger("agent");
/** The source workload in the metrics of refused requests. */
const unidentified = "unidentified";
/** Milliseconds between two looks at the counters, and between two log lines. */
const lookInterval = 500;
const quietFor = 60_000;

/** Name of the proxy that owns the listener; no workload can have it, for workloads have names. */
export const refusingProxy = "";

const body = "This agent serves several workloads and cannot tell whose request this is. Give the workload a " +
  "localAddress of its own in agent.yaml (spec.workloads[].localAddress) and send requests to that address.\n";

/** The changes that make the port refuse everybody. */
export function refusingListener(address: string, port: number): ControlChange[] {
  const none = { set: [], remove: [] };
  return [
    {
      kind: "proxy",
      description: {
        proxy: refusingProxy,
        principal: "",
        workload: {
          workload: unidentified,
          namespace: "unknown",
          app: "unknown",
          version: "unknown",
          canonicalService: "unknown",
          canonicalRevision: "latest",
          cluster: "unknown",
        },
      },
    },
    {
      kind: "resources",
      proxy: refusingProxy,
      clusters: [],
      removedClusters: [],
      endpoints: [],
      routes: [{
        name: "refuse",
        virtualHosts: [{
          name: "refuse",
          domains: ["*"],
          routes: [{
            name: "refuse",
            match: {
              path: { kind: "prefix", value: "/", ignoreCase: false },
              headers: [],
              queryParameters: [],
              fraction: null,
            },
            action: { kind: "direct", status: 403, body },
            requestHeaders: none,
            responseHeaders: none,
            fault: null,
          }],
        }],
      }],
      removedRoutes: [],
      listeners: [{
        name: "unidentified",
        address,
        port,
        direction: "outbound",
        filterChains: [{
          name: "unidentified",
          serverNames: [],
          transportProtocol: "",
          applicationProtocols: [],
          tls: null,
          http: {
            statPrefix: "unidentified",
            routeConfigName: "refuse",
            serverName: "skiff",
            streamIdleTimeout: 300_000,
            requestHeadersTimeout: 10_000,
            idleTimeout: 60_000,
            maxRequestHeadersBytes: 60 * 1024,
            useRemoteAddress: false,
            generateRequestId: false,
            forwardClientCertDetails: "SANITIZE",
            httpFilters: ["router"],
            upgradeTypes: [],
          },
          tcp: null,
        }],
        accessLog: [],
      }],
      removedListeners: [],
    },
  ];
}

/** Tells of requests that were refused because nobody could say whose they were: of the first at once, then by the minute. */
export class RefusalLog {
  readonly #timer: ReturnType<typeof setInterval>;
  #told = 0;
  #toldAt = -Infinity;

  constructor(threads: DataThreads) {
    this.#timer = setInterval(() => this.#tell(threads.series()), lookInterval);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #tell(series: Series[]): void {
    const now = performance.now();
    if (now - this.#toldAt < quietFor) return;
    let refused = 0;
    for (const { metric, labels, values } of series) {
      if (metric === "istio_requests_total" && labels["source_workload"] === unidentified) refused += values[0];
    }
    if (refused <= this.#told) return;
    log.warn("requests were refused with 403: this agent serves several workloads and cannot tell whose they are", {
      requests: refused - this.#told,
      remedy: "set spec.workloads[].localAddress in agent.yaml and send the workload's requests to that address",
    });
    this.#told = refused;
    this.#toldAt = now;
  }
}
