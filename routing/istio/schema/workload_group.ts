/** WorkloadGroup, by the rules of Istio's validator. */
import { map, message, required } from "../../yaml/collections.ts";
import { refine, type Schema, string } from "../../yaml/schema.ts";
import type { WorkloadEntrySpec } from "../types.ts";
import { labelKey, labels } from "./names.ts";
import { type ReadinessProbe, readinessProbe } from "./readiness_probe.ts";
import { workloadEntryTemplate } from "./workload_entry.ts";

export interface WorkloadGroupSpec {
  metadata?: { labels?: Record<string, string>; annotations?: Record<string, string> };
  template: WorkloadEntrySpec;
  probe?: ReadinessProbe;
}

/** What a workload brings itself, or has from the group's metadata. */
const template = refine(workloadEntryTemplate, (_, cursor) => {
  if (cursor.has("address")) cursor.atKey("address").error("cannot stand in a template: each workload has its own");
  if (cursor.has("labels")) cursor.atKey("labels").error("cannot stand in a template: write them as metadata.labels");
});

export const workloadGroup: Schema<WorkloadGroupSpec> = message<WorkloadGroupSpec>({
  metadata: message<NonNullable<WorkloadGroupSpec["metadata"]>>({
    labels,
    annotations: map(string(), labelKey),
  }),
  template: required(template),
  probe: readinessProbe,
});
