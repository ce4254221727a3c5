/**
 * Passive health: counts consecutive failures of a host in shared memory and ejects it
 * (https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/outlier). The main thread's sweep lifts
 * ejections when their time is over.
 */
import { ClusterSlot, HostSlot } from "../config/shared_memory.ts";
import type { Cluster, Host } from "./cluster.ts";

/** A response arrived from the host. */
export function recordResponse(cluster: Cluster, host: Host, status: number): void {
  const shared = cluster.shared;
  Atomics.add(shared, host.slot + HostSlot.requests, 1);
  if (status >= 500) Atomics.add(shared, host.slot + HostSlot.errors, 1);
  const detection = cluster.config.outlierDetection;
  if (detection === null) return;
  const local = host.slot + HostSlot.consecutiveLocalOriginFailure;
  if (Atomics.load(shared, local) !== 0) Atomics.store(shared, local, 0);
  count(cluster, host, HostSlot.consecutive5xx, status >= 500, detection.consecutive5xx);
  const gatewayFailure = status >= 502 && status <= 504;
  count(cluster, host, HostSlot.consecutiveGatewayFailure, gatewayFailure, detection.consecutiveGatewayFailure);
}

/** A connection came about that carries no responses by which to judge the host: TCP (Envoy: as a response of 200). */
export function recordConnected(cluster: Cluster, host: Host): void {
  const detection = cluster.config.outlierDetection;
  if (detection === null) return;
  if (detection.splitExternalLocalOriginErrors) {
    count(cluster, host, HostSlot.consecutiveLocalOriginFailure, false, 0);
  } else {
    count(cluster, host, HostSlot.consecutive5xx, false, 0);
    count(cluster, host, HostSlot.consecutiveGatewayFailure, false, 0);
  }
}

/** No response came: connecting failed, the connection broke or time ran out. */
export function recordLocalFailure(cluster: Cluster, host: Host): void {
  Atomics.add(cluster.shared, host.slot + HostSlot.errors, 1);
  const detection = cluster.config.outlierDetection;
  if (detection === null) return;
  if (detection.splitExternalLocalOriginErrors) {
    const slot = HostSlot.consecutiveLocalOriginFailure;
    count(cluster, host, slot, true, detection.consecutiveLocalOriginFailure);
  } else {
    // Without the split they count as a 503 would.
    count(cluster, host, HostSlot.consecutive5xx, true, detection.consecutive5xx);
    count(cluster, host, HostSlot.consecutiveGatewayFailure, true, detection.consecutiveGatewayFailure);
  }
}

function count(cluster: Cluster, host: Host, counter: number, failed: boolean, threshold: number): void {
  const shared = cluster.shared;
  const at = host.slot + counter;
  if (!failed) {
    if (Atomics.load(shared, at) !== 0) Atomics.store(shared, at, 0);
    return;
  }
  const failures = Atomics.add(shared, at, 1) + 1;
  if (threshold > 0 && failures >= threshold) {
    Atomics.store(shared, at, 0);
    eject(cluster, host);
  }
}

function eject(cluster: Cluster, host: Host): void {
  const shared = cluster.shared;
  const detection = cluster.config.outlierDetection!;
  const ejectedAt = cluster.config.slot + ClusterSlot.ejectedHosts;
  const ejected = Atomics.load(shared, ejectedAt);
  // The first ejection is always allowed; further ones while fewer than the limit are out.
  if (ejected > 0 && ejected * 100 >= detection.maxEjectionPercent * cluster.size) return;
  if (Atomics.compareExchange(shared, host.slot + HostSlot.ejected, 0, 2) !== 0) return;
  const times = Atomics.add(shared, host.slot + HostSlot.ejections, 1) + 1;
  const duration = Math.min(detection.baseEjectionTime * times, detection.maxEjectionTime);
  const until = Math.ceil(cluster.thread.secondsSinceStart() + duration / 1000);
  Atomics.store(shared, host.slot + HostSlot.ejectedUntil, until);
  Atomics.add(shared, ejectedAt, 1);
  Atomics.store(shared, host.slot + HostSlot.ejected, 1);
  Atomics.add(shared, cluster.config.slot + ClusterSlot.healthVersion, 1);
  cluster.thread.log("info", "endpoint ejected", {
    cluster: cluster.config.name,
    endpoint: host.label,
    seconds: Math.round(duration / 1000),
  });
}
