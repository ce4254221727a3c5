/** What became of the names that clusters have, as text for `/stats`. */
import type { NameWatch } from "../dns/watched_names.ts";

/** The names that the clusters of one workload have. */
export interface WatchedNamesOf {
  workload: string;
  names: Iterable<{ cluster: string; name: string; watch: NameWatch }>;
}

/** Envoy's `update_…` counters of each cluster, and the last failure of each name. */
export function nameStatsText(workloads: Iterable<WatchedNamesOf>): string {
  const lines: string[] = [];
  for (const { workload, names } of workloads) {
    const totals = new Map<string, Record<string, number>>();
    for (const { cluster, name, watch: { statistics, failure } } of names) {
      const prefix = `workload.${workload}.cluster.${cluster}`;
      const sums = totals.get(prefix) ?? { update_attempt: 0, update_success: 0, update_failure: 0, update_empty: 0 };
      totals.set(prefix, sums);
      sums.update_attempt += statistics.attempts;
      sums.update_success += statistics.successes;
      sums.update_failure += statistics.failures;
      sums.update_empty += statistics.empty;
      if (failure !== null) lines.push(`${prefix}.dns.${name}: ${failure}`);
    }
    for (const [prefix, sums] of totals) {
      for (const [counter, value] of Object.entries(sums)) lines.push(`${prefix}.${counter}: ${value}`);
    }
  }
  return lines.sort().map((line) => `${line}\n`).join("");
}
