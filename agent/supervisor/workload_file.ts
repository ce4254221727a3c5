/** Where a workload's last good configuration is kept. */
import { join } from "node:path";

/** Percent encoding leaves nothing in a workload's name that means something in a path. */
export function workloadFile(dataDir: string, workload: string): string {
  return join(dataDir, "configuration", `${encodeURIComponent(workload).replaceAll(".", "%2E")}.json`);
}
