/**
 * Passive health: counts consecutive failures of a host in shared memory and ejects it
 * (https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/outlier). The main thread's sweep lifts
 * ejections when their time is over.
 */
import type { OutlierDetectionConfig } from "../config/model.ts";
import { HostSlot } from "../config/shared_memory.ts";
import type { Cluster, Host } from "./cluster.ts";
import { ejectHost, isEnforced } from "./ejection.ts";

/** A response arrived from the host. */
export function recordResponse(cluster: Cluster, host: Host, status: number): void {
  const shared = cluster.shared;
  Atomics.add(shared, host.slot + HostSlot.requests, 1);
  if (status >= 500) Atomics.add(shared, host.slot + HostSlot.errors, 1);
  const detection = cluster.config.outlierDetection;
  if (detection === null) return;
  judge(cluster, host, detection, judgedStatus(detection, status));
  if (detection.splitExternalLocalOriginErrors) judgeLocal(cluster, host, detection, true);
}

/** A connection came about that carries no responses by which to judge the host: TCP (Envoy: as a response of 200). */
export function recordConnected(cluster: Cluster, host: Host): void {
  const detection = cluster.config.outlierDetection;
  if (detection === null) return;
  if (detection.splitExternalLocalOriginErrors) judgeLocal(cluster, host, detection, true);
  else judge(cluster, host, detection, 200);
}

/** No response came: connecting failed, the connection broke or time ran out. */
export function recordLocalFailure(cluster: Cluster, host: Host): void {
  Atomics.add(cluster.shared, host.slot + HostSlot.errors, 1);
  const detection = cluster.config.outlierDetection;
  if (detection === null) return;
  if (detection.splitExternalLocalOriginErrors) judgeLocal(cluster, host, detection, false);
  // Without the split it counts as a 503 would.
  else judge(cluster, host, detection, 503);
}

/** Where statuses are named that count as errors, they do whatever they are, and others do not. */
function judgedStatus({ errorStatuses }: OutlierDetectionConfig, status: number): number {
  if (errorStatuses === undefined) return status;
  return errorStatuses.includes(status) ? Math.max(status, 500) : 200;
}

function judge(cluster: Cluster, host: Host, detection: OutlierDetectionConfig, status: number): void {
  const { consecutive5xx, consecutiveGatewayFailure } = detection;
  const failed = status >= 500;
  Atomics.add(cluster.shared, host.slot + HostSlot.intervalRequests, 1);
  if (!failed) Atomics.add(cluster.shared, host.slot + HostSlot.intervalSuccesses, 1);
  const gatewayFailure = status >= 502 && status <= 504;
  const { enforcingConsecutive5xx, enforcingConsecutiveGatewayFailure } = detection;
  count(cluster, host, HostSlot.consecutive5xx, failed, consecutive5xx, enforcingConsecutive5xx);
  count(
    cluster,
    host,
    HostSlot.consecutiveGatewayFailure,
    gatewayFailure,
    consecutiveGatewayFailure,
    enforcingConsecutiveGatewayFailure,
  );
}

function judgeLocal(cluster: Cluster, host: Host, detection: OutlierDetectionConfig, success: boolean): void {
  const { consecutiveLocalOriginFailure, enforcingConsecutiveLocalOriginFailure } = detection;
  Atomics.add(cluster.shared, host.slot + HostSlot.intervalLocalRequests, 1);
  if (success) Atomics.add(cluster.shared, host.slot + HostSlot.intervalLocalSuccesses, 1);
  count(
    cluster,
    host,
    HostSlot.consecutiveLocalOriginFailure,
    !success,
    consecutiveLocalOriginFailure,
    enforcingConsecutiveLocalOriginFailure,
  );
}

/** @param enforcing percent of the findings that lead to an ejection; absent: all */
function count(
  cluster: Cluster,
  host: Host,
  counter: number,
  failed: boolean,
  threshold: number,
  enforcing: number | undefined,
): void {
  const shared = cluster.shared;
  const at = host.slot + counter;
  if (!failed) {
    if (Atomics.load(shared, at) !== 0) Atomics.store(shared, at, 0);
    return;
  }
  const failures = Atomics.add(shared, at, 1) + 1;
  if (threshold > 0 && failures >= threshold) {
    Atomics.store(shared, at, 0);
    if (isEnforced(enforcing ?? 100, Math.random())) eject(cluster, host);
  }
}

function eject(cluster: Cluster, host: Host): void {
  const detection = cluster.config.outlierDetection!;
  const target = { hostSlot: host.slot, clusterSlot: cluster.config.slot, clusterSize: cluster.size };
  const duration = ejectHost(cluster.shared, target, detection, cluster.thread.secondsSinceStart(), Math.random());
  if (duration === null) return;
  cluster.thread.log("info", "endpoint ejected", {
    cluster: cluster.config.name,
    endpoint: host.label,
    seconds: Math.round(duration / 1000),
  });
}
