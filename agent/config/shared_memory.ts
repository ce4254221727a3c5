/**
 * Layout of the memory that the main thread and the data threads share.
 *
 * Cluster and host counters are one `Int32Array` for the whole agent, updated with `Atomics`, so that circuit breakers
 * and outlier detection mean the same whatever the number of data threads. Metric values are one `Float64Array` per
 * thread: one writer, read by the main thread when somebody scrapes (exact up to 2^53).
 */

/** Int32 slots of the shared counters (untouched pages cost no memory). */
export const sharedSlots = 4 * 1024 * 1024;
/** Float64 slots of one thread's metric memory. */
export const metricSlots = 1024 * 1024;

/** Counters of one cluster, at `slot + …`. */
export const ClusterSlot = {
  activeConnections: 0,
  pendingRequests: 1,
  activeRequests: 2,
  activeRetries: 3,
  /** Hosts now ejected by outlier detection. */
  ejectedHosts: 4,
  /** Totals, for `/clusters` and `/stats`; they wrap at 2^31. */
  connections: 5,
  connectFailures: 6,
  requests: 7,
  retries: 8,
  overflows: 9,
  /** Counts up with every change of a host's health: what was derived from it must be derived anew. */
  healthVersion: 10,
  /** Copies of requests that were mirrored here, and those of them that were given up. */
  shadows: 11,
  shadowDrops: 12,
  /** Retries that the limit on them has held back. */
  retryOverflows: 13,
  /** Of the connections those to another workload of this agent that never left the process. */
  inProcessConnections: 14,
  length: 15,
} as const;

/** Counters of one endpoint, at `slot + …`. */
export const HostSlot = {
  /** Requests in flight: least request reads it. */
  activeRequests: 0,
  consecutive5xx: 1,
  consecutiveGatewayFailure: 2,
  consecutiveLocalOriginFailure: 3,
  /** 1 while ejected by outlier detection. The main thread's sweep lifts it. */
  ejected: 4,
  /** Times ejected so far: the next ejection lasts this much longer. */
  ejections: 5,
  /** When the ejection ends: seconds since the agent started. */
  ejectedUntil: 6,
  requests: 7,
  errors: 8,
  activeConnections: 9,
  /** Since outlier detection's last analysis: requests that were answered or failed, and those that succeeded. */
  intervalRequests: 10,
  intervalSuccesses: 11,
  /** The same of connecting and receiving alone, where local failures count apart. */
  intervalLocalRequests: 12,
  intervalLocalSuccesses: 13,
  /** One of {@link ActiveHealth}: what active health checks found, where the cluster has any. */
  activeHealth: 14,
  length: 15,
} as const;

/** A host that has not been checked yet gets no requests. */
export const ActiveHealth = { unknown: 0, healthy: 1, unhealthy: 2 } as const;

/** Counters of the agent as a whole, at `agentSlot + …`. */
export const AgentSlot = {
  /** Callers' connections. */
  connections: 0,
  /** Totals: connections over the limit, requests and TCP connections turned away for the sake of memory. */
  refusedConnections: 1,
  refusedWork: 2,
  /** PRIORITY frames, which nothing follows from. */
  priorityFrames: 3,
  length: 4,
} as const;

/** Behind the place where what has no place of its own yet counts. */
export const agentSlot: number = ClusterSlot.length;

/** Upper bounds in milliseconds of `istio_request_duration_milliseconds`: Envoy's histogram buckets. */
export const durationBuckets = [
  0.5,
  1,
  5,
  10,
  25,
  50,
  100,
  250,
  500,
  1000,
  2500,
  5000,
  10000,
  30000,
  60000,
  300000,
  600000,
  1800000,
  3600000,
] as const;

/**
 * A histogram's values from its slot on: one count per bucket (not cumulative), one for what is above the last,
 * then the sum. A counter is one value.
 */
export const histogramLength = durationBuckets.length + 2;
