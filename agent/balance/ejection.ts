/** Ejecting a host, by whichever thread found it wanting: its place in shared memory tells all threads. */
import type { OutlierDetectionConfig } from "../config/model.ts";
import type { Cluster, Host } from "./cluster.ts";
import { ClusterSlot, HostSlot } from "../config/shared_memory.ts";

export interface EjectionTarget {
  hostSlot: number;
  clusterSlot: number;
  /** How many hosts the cluster has. */
  clusterSize: number;
}

/**
 * Ejects the host, unless it is out already or as many as may be are.
 *
 * @param now seconds since the agent started
 * @param random from 0 up to 1: spreads the hosts' return over the jitter
 * @returns for how many milliseconds, or `null`
 */
export function ejectHost(
  shared: Int32Array,
  { hostSlot, clusterSlot, clusterSize }: EjectionTarget,
  detection: OutlierDetectionConfig,
  now: number,
  random: number,
): number | null {
  const ejectedAt = clusterSlot + ClusterSlot.ejectedHosts;
  const ejected = Atomics.load(shared, ejectedAt);
  // One host may go whatever the percentage says, unless that is switched off.
  const first = ejected === 0 && detection.alwaysEjectOneHost !== false;
  if (!first && ejected * 100 >= detection.maxEjectionPercent * clusterSize) return null;
  if (Atomics.compareExchange(shared, hostSlot + HostSlot.ejected, 0, 2) !== 0) return null;
  const times = Atomics.add(shared, hostSlot + HostSlot.ejections, 1) + 1;
  const jitter = Math.floor(random * ((detection.maxEjectionTimeJitter ?? 0) + 1));
  const duration = Math.min(detection.baseEjectionTime * times, detection.maxEjectionTime) + jitter;
  Atomics.store(shared, hostSlot + HostSlot.ejectedUntil, Math.ceil(now + duration / 1000));
  Atomics.add(shared, ejectedAt, 1);
  Atomics.store(shared, hostSlot + HostSlot.ejected, 1);
  Atomics.add(shared, clusterSlot + ClusterSlot.healthVersion, 1);
  return duration;
}

/** The host has passed an active health check: its ejection, if there is one, ends with the main thread's next sweep. */
export function endEjection({ shared, config }: Cluster, { slot }: Host): void {
  const { outlierDetection } = config;
  if (outlierDetection === null || outlierDetection.healthCheckUnejects === false) return;
  if (Atomics.load(shared, slot + HostSlot.ejected) === 1) Atomics.store(shared, slot + HostSlot.ejectedUntil, 0);
}

/** Whether a detector's finding leads to an ejection: in so many percent of the cases. */
export function isEnforced(percent: number, random: number): boolean {
  return random * 100 < percent;
}
