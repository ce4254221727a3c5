/** The shared counters as text, in the spirit of Envoy's `/clusters` and `/stats`. */
import { ActiveHealth, AgentSlot, agentSlot, ClusterSlot, HostSlot } from "../config/shared_memory.ts";
import type { ClusterConfig, EndpointConfig } from "../config/model.ts";
import type { DataThreads } from "./data_threads.ts";
import type { ProxyState } from "./thread_state.ts";

const clusterTotals = {
  upstream_cx_active: ClusterSlot.activeConnections,
  upstream_cx_total: ClusterSlot.connections,
  upstream_cx_in_process: ClusterSlot.inProcessConnections,
  upstream_cx_connect_fail: ClusterSlot.connectFailures,
  upstream_rq_active: ClusterSlot.activeRequests,
  upstream_rq_pending_active: ClusterSlot.pendingRequests,
  upstream_rq_total: ClusterSlot.requests,
  upstream_rq_retry: ClusterSlot.retries,
  upstream_rq_retry_overflow: ClusterSlot.retryOverflows,
  upstream_cx_overflow: ClusterSlot.overflows,
  upstream_rq_shadow: ClusterSlot.shadows,
  upstream_rq_shadow_dropped: ClusterSlot.shadowDrops,
} as const;

const agentTotals = {
  downstream_cx_active: AgentSlot.connections,
  downstream_cx_overflow: AgentSlot.refusedConnections,
  overload_refused: AgentSlot.refusedWork,
  http2_priority_frames: AgentSlot.priorityFrames,
} as const;

/** `/clusters`: per workload, cluster and endpoint, lines of `CLUSTER::…::NAME::VALUE`. */
export function clustersText(threads: DataThreads): string {
  const lines: string[] = [];
  for (const [proxy, state] of workloadStates(threads)) {
    lines.push(`# workload ${proxy}`);
    for (const cluster of state.clusters.values()) lines.push(...clusterLines(threads.slots.counters, cluster, state));
  }
  return lines.join("\n") + "\n";
}

/** `/stats`: counters of the agent with its limits, and `cluster.CLUSTER.COUNTER: VALUE`, the workload in front. */
export function statsText(threads: DataThreads): string {
  const lines = Object.entries(agentTotals).map(([total, at]) =>
    `agent.${total}: ${Atomics.load(threads.slots.counters, agentSlot + at)}`
  );
  for (const [limit, value] of Object.entries(threads.limits)) lines.push(`agent.limits.${limit}: ${value}`);
  for (const [proxy, state] of workloadStates(threads)) {
    for (const { name, slot } of state.clusters.values()) {
      for (const [total, at] of Object.entries(clusterTotals)) {
        lines.push(`workload.${proxy}.cluster.${name}.${total}: ${Atomics.load(threads.slots.counters, slot + at)}`);
      }
    }
  }
  return lines.sort().join("\n") + "\n";
}

/** `/listeners`: `NAME::ADDRESS:PORT`. */
export function listenersText(threads: DataThreads): string {
  const lines: string[] = [];
  for (const [proxy, state] of workloadStates(threads)) {
    lines.push(`# workload ${proxy}`);
    for (const { name, address, port } of state.listeners.values()) lines.push(`${name}::${address}:${port}`);
  }
  return lines.join("\n") + "\n";
}

function workloadStates(threads: DataThreads): [string, ProxyState][] {
  return [...threads.state.proxies].filter(([proxy]) => proxy !== "");
}

function clusterLines(counters: Int32Array, cluster: ClusterConfig, state: ProxyState): string[] {
  const breakers = cluster.circuitBreakers;
  const lines = [
    `${cluster.name}::default_priority::max_connections::${breakers.maxConnections}`,
    `${cluster.name}::default_priority::max_pending_requests::${breakers.maxPendingRequests}`,
    `${cluster.name}::default_priority::max_requests::${breakers.maxRequests}`,
    `${cluster.name}::default_priority::max_retries::${breakers.maxRetries}`,
  ];
  const failsChecks = (health: number) => cluster.healthCheck !== undefined && health !== ActiveHealth.healthy;
  for (const locality of state.endpoints.get(cluster.name)?.localities ?? []) {
    for (const endpoint of locality.endpoints) {
      const read = (at: number) => Atomics.load(counters, endpoint.slot + at);
      const prefix = `${cluster.name}::${endpoint.address}:${endpoint.port}`;
      lines.push(
        `${prefix}::cx_active::${read(HostSlot.activeConnections)}`,
        `${prefix}::rq_active::${read(HostSlot.activeRequests)}`,
        `${prefix}::rq_total::${read(HostSlot.requests)}`,
        `${prefix}::rq_error::${read(HostSlot.errors)}`,
        `${prefix}::health_flags::${
          healthFlags(
            endpoint,
            read(HostSlot.ejected) === 1,
            !endpoint.healthCheck?.disabled && failsChecks(read(HostSlot.activeHealth)),
          )
        }`,
        `${prefix}::weight::${endpoint.weight}`,
        `${prefix}::locality::${locality.locality}`,
        `${prefix}::priority::${locality.priority}`,
      );
    }
  }
  return lines;
}

function healthFlags(endpoint: EndpointConfig, ejected: boolean, failsChecks: boolean): string {
  const flags = (failsChecks ? "/failed_active_hc" : "") + (ejected ? "/failed_outlier_check" : "") +
    (endpoint.healthy ? "" : "/failed_eds_health");
  return flags === "" ? "healthy" : flags;
}
