/** Resources that choose workloads by label. */
import type { Resource } from "../istio/types.ts";
import { type Analysis, keyOf } from "./analysis.ts";
import { type Code, type Finding, finding } from "./finding.ts";

interface Selecting {
  selector?: { matchLabels?: Record<string, string> };
  workloadSelector?: { labels?: Record<string, string>; matchLabels?: Record<string, string> };
  targetRef?: unknown;
  targetRefs?: unknown[];
}

function labelsOf({ spec }: Resource): Record<string, string> {
  const { selector, workloadSelector } = spec as Selecting;
  return selector?.matchLabels ?? workloadSelector?.labels ?? workloadSelector?.matchLabels ?? {};
}

function hasTarget({ spec }: Resource): boolean {
  const { targetRef, targetRefs = [] } = spec as Selecting;
  return targetRef !== undefined || targetRefs.length > 0;
}

/** Of each namespace's Sidecars and Telemetries one may choose a workload, and one may choose all. */
export function oneForEachWorkload(analysis: Analysis): Finding[] {
  return [
    ...oneEach(analysis, "Sidecar", "Sidecars", "IST0111", "IST0110"),
    ...oneEach(analysis, "Telemetry", "Telemetries", "IST0160", "IST0159"),
  ];
}

function oneEach(analysis: Analysis, kind: string, plural: string, ofAll: Code, ofSome: Code): Finding[] {
  const findings: Finding[] = [];
  const groups = Map.groupBy(
    analysis.of(kind).filter((resource) => !hasTarget(resource)),
    (resource) => `${resource.metadata.namespace} ${textOf(labelsOf(resource))}`,
  );
  for (const group of groups.values()) {
    if (group.length < 2) continue;
    const labels = textOf(labelsOf(group[0]));
    const names = group.map(({ metadata }) => metadata.name).join(" ");
    const which = labels === "" ? "have no workload selector" : `select the same workloads ${JSON.stringify(labels)}`;
    const message = `The ${plural} [${names}] in namespace ${JSON.stringify(group[0].metadata.namespace)} ${which}, ` +
      "which can lead to undefined behavior.";
    for (const resource of group) findings.push(finding(labels === "" ? ofAll : ofSome, resource, [], message));
  }
  return findings;
}

const choosing = ["AuthorizationPolicy", "PeerAuthentication", "RequestAuthentication", "Sidecar", "Telemetry"];

/** Selectors that choose no workload (IST0127); told only when every workload is known. */
export function selectedWorkloads(analysis: Analysis): Finding[] {
  if (!analysis.input.complete) return [];
  const endpoints = [...analysis.input.services.values()].flatMap((service) => service.endpoints);
  return choosing.flatMap((kind) => analysis.of(kind)).flatMap((resource) => {
    const labels = labelsOf(resource);
    const anywhere = resource.metadata.namespace === analysis.input.rootNamespace;
    const chosen = endpoints.some((endpoint) =>
      (anywhere || endpoint.namespace === resource.metadata.namespace) &&
      Object.entries(labels).every(([key, value]) => endpoint.labels[key] === value)
    );
    if (chosen || textOf(labels) === "") return [];
    const message = `No matching workloads for this resource with the following labels: ${textOf(labels)}`;
    return [finding("IST0127", resource, [], message)];
  });
}

/** Telemetry that names an empty provider list does nothing (IST0157). */
export function telemetryProviders(analysis: Analysis): Finding[] {
  return analysis.of("Telemetry").flatMap((resource) => {
    const spec = resource.spec as Record<string, { providers?: unknown[] }[] | undefined>;
    const empty = ["accessLogging", "metrics", "tracing"].flatMap((list) =>
      (spec[list] ?? []).flatMap(({ providers }, index) => providers?.length === 0 ? [[list, index]] : [])
    );
    const message = `The Telemetry ${keyOf(resource)} with empty providers will be ignored.`;
    return empty.map((place) => finding("IST0157", resource, ["spec", ...place, "providers"], message));
  });
}

function textOf(labels: Record<string, string>): string {
  return Object.entries(labels).map(([key, value]) => `${key}=${value}`).sort().join(",");
}
