/** Which Telemetries are for a workload, and what they say together. */
import type { Telemetry, WorkloadMode } from "../../istio/telemetry_types.ts";
import type { Mesh } from "../../mesh.ts";
import type { PolicyWorkload } from "../security/security_index.ts";
import { securityIndex } from "../security/security_index.ts";

/** One side of a workload's traffic. */
export type Side = "CLIENT" | "SERVER";

/**
 * Those for the workload, the outer first: the root namespace's, the namespace's, the one that selects the workload. Of
 * several at one level the oldest, as in Istio.
 */
export function telemetryLevels(mesh: Mesh, workload: PolicyWorkload): Telemetry[] {
  const applying = securityIndex(mesh).telemetries(workload);
  const { rootNamespace } = mesh.settings;
  const root = applying.find((each) => each.metadata.namespace === rootNamespace && !selective(each));
  const own = applying.filter((each) => each.metadata.namespace === workload.namespace);
  const levels = [root, own.find((each) => !selective(each)), own.find(selective)];
  return [...new Set(levels)].filter((each) => each !== undefined);
}

function selective({ spec: { selector, targetRef, targetRefs } }: Telemetry): boolean {
  return targetRef !== undefined || (targetRefs ?? []).length > 0 ||
    Object.keys(selector?.matchLabels ?? {}).length > 0;
}

export function isFor(match: { mode?: WorkloadMode } | undefined, side: Side): boolean {
  const { mode = "CLIENT_AND_SERVER" } = match ?? {};
  return mode === "CLIENT_AND_SERVER" || mode === side;
}
