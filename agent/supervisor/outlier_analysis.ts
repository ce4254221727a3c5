/**
 * Success rates of hosts over one analysis interval. Data threads count; only the main thread sees all of it at once,
 * so that it decides, the same whatever the number of threads.
 */
import { ejectHost, isEnforced } from "../balance/ejection.ts";
import type { OutlierDetectionConfig } from "../config/model.ts";
import { HostSlot } from "../config/shared_memory.ts";
import {
  failurePercentageOutliers,
  type IntervalCounts,
  successRateOutliers,
} from "../../routing/balance/success_rate.ts";

/** A cluster whose outliers are detected, with the slots of its hosts by `address:port`. */
export interface DetectingCluster {
  proxy: string;
  cluster: string;
  slot: number;
  detection: OutlierDetectionConfig;
  hosts: ReadonlyMap<string, number>;
}

export interface Ejected {
  proxy: string;
  cluster: string;
  host: string;
  /** Milliseconds. */
  duration: number;
}

type Candidate = IntervalCounts<{ name: string; slot: number }>;

/**
 * Judges each cluster whose interval has ended since the pass before, and starts its next one. Returns what was
 * ejected. `now` and `before` are seconds since the agent started; `random` gives numbers from 0 up to 1.
 */
export function analyzeOutliers(
  counters: Int32Array,
  clusters: Iterable<DetectingCluster>,
  now: number,
  before: number,
  random: () => number,
): Ejected[] {
  const ejected: Ejected[] = [];
  for (const cluster of clusters) {
    const { interval, splitExternalLocalOriginErrors } = cluster.detection;
    if (Math.floor(now * 1000 / interval) === Math.floor(before * 1000 / interval)) continue;
    const external = take(counters, cluster, HostSlot.intervalRequests, HostSlot.intervalSuccesses);
    const local = take(counters, cluster, HostSlot.intervalLocalRequests, HostSlot.intervalLocalSuccesses);
    const judge = (counts: Candidate[], origin: "enforcing" | "enforcingLocalOrigin") => {
      const { successRate, failurePercentage } = cluster.detection;
      const found: [{ name: string; slot: number }[], number][] = [];
      if (successRate !== undefined) found.push([successRateOutliers(counts, successRate), successRate[origin]]);
      if (failurePercentage !== undefined) {
        found.push([failurePercentageOutliers(counts, failurePercentage), failurePercentage[origin]]);
      }
      for (const [outliers, percent] of found) {
        for (const { name, slot } of outliers) {
          if (!isEnforced(percent, random())) continue;
          const target = { hostSlot: slot, clusterSlot: cluster.slot, clusterSize: cluster.hosts.size };
          const duration = ejectHost(counters, target, cluster.detection, now, random());
          if (duration === null) continue;
          ejected.push({ proxy: cluster.proxy, cluster: cluster.cluster, host: name, duration });
        }
      }
    };
    judge(external, "enforcing");
    if (splitExternalLocalOriginErrors) judge(local, "enforcingLocalOrigin");
  }
  return ejected;
}

/** The counts of the hosts that are not out, and zeroes all. */
function take(counters: Int32Array, { hosts }: DetectingCluster, requestsAt: number, successesAt: number): Candidate[] {
  const counts: Candidate[] = [];
  for (const [name, slot] of hosts) {
    const requests = Atomics.exchange(counters, slot + requestsAt, 0);
    const successes = Math.min(requests, Atomics.exchange(counters, slot + successesAt, 0));
    if (Atomics.load(counters, slot + HostSlot.ejected) === 0) {
      counts.push({ host: { name, slot }, requests, successes });
    }
  }
  return counts;
}
