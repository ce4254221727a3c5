import { equal } from "node:assert/strict";
import type { NameWatch } from "../dns/watched_names.ts";
import { nameStatsText } from "./name_stats.ts";

Deno.test("counts the questions of a cluster's names, and says why one has no answer", () => {
  const watch = (failures: number): NameWatch => ({
    addresses: [],
    statistics: { attempts: 3, successes: 3 - failures, failures, empty: 1 },
    failure: failures > 0 ? "192.0.2.53:53: no answer in time" : null,
    close() {},
  });
  const cluster = "outbound|5432||db.example";
  const names = [{ cluster, name: "a.example", watch: watch(0) }, { cluster, name: "b.example", watch: watch(2) }];
  equal(
    nameStatsText([{ workload: "web", names }]),
    `workload.web.cluster.${cluster}.dns.b.example: 192.0.2.53:53: no answer in time
workload.web.cluster.${cluster}.update_attempt: 6
workload.web.cluster.${cluster}.update_empty: 2
workload.web.cluster.${cluster}.update_failure: 2
workload.web.cluster.${cluster}.update_success: 4
`,
  );
});
