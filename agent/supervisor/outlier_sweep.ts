/** Ends ejections whose time is over. Data threads eject; only the main thread lifts an ejection. */
import { ClusterSlot, HostSlot } from "../config/shared_memory.ts";
import type { HostPlace } from "./slots.ts";

/**
 * One pass over all endpoints.
 *
 * As in Envoy, an endpoint comes back with its consecutive failures forgotten, and each analysis interval that it
 * spends unejected takes one from the number that lengthens its next ejection. `now` and `before` are the seconds
 * since the agent started of this pass and of the one before it. Returns how many endpoints came back.
 */
export function sweepOutliers(counters: Int32Array, hosts: Iterable<HostPlace>, now: number, before: number): number {
  let returned = 0;
  for (const host of hosts) {
    if (Atomics.load(counters, host.slot + HostSlot.ejected) === 1) {
      if (Atomics.load(counters, host.slot + HostSlot.ejectedUntil) > now) continue;
      Atomics.store(counters, host.slot + HostSlot.consecutive5xx, 0);
      Atomics.store(counters, host.slot + HostSlot.consecutiveGatewayFailure, 0);
      Atomics.store(counters, host.slot + HostSlot.consecutiveLocalOriginFailure, 0);
      if (Atomics.compareExchange(counters, host.slot + HostSlot.ejected, 1, 0) === 1) {
        Atomics.sub(counters, host.clusterSlot + ClusterSlot.ejectedHosts, 1);
        Atomics.add(counters, host.clusterSlot + ClusterSlot.healthVersion, 1);
        returned++;
      }
    } else if (host.interval > 0 && intervalsAt(now, host.interval) > intervalsAt(before, host.interval)) {
      const ejections = Atomics.load(counters, host.slot + HostSlot.ejections);
      if (ejections > 0) Atomics.compareExchange(counters, host.slot + HostSlot.ejections, ejections, ejections - 1);
    }
  }
  return returned;
}

function intervalsAt(seconds: number, interval: number): number {
  return Math.floor(seconds * 1000 / interval);
}
