/** Labels: selection by them, and the names that metrics derive from them. */

/** Whether every label of `selector` is among `labels`; an empty selector selects all. */
export function selects(
  selector: Readonly<Record<string, string>> | undefined,
  labels: Record<string, string>,
): boolean {
  return Object.entries(selector ?? {}).every(([key, value]) => Object.hasOwn(labels, key) && labels[key] === value);
}

/** Istio's canonical service of a workload: an explicit label, then the usual ones, then the workload's own name. */
export function canonicalName(labels: Record<string, string>, workload: string): string {
  return labels["service.istio.io/canonical-name"] ?? labels["app.kubernetes.io/name"] ?? labels.app ?? workload;
}

/** Istio's canonical revision of a workload; `latest` where no label tells. */
export function canonicalRevision(labels: Record<string, string>): string {
  return labels["service.istio.io/canonical-revision"] ?? labels["app.kubernetes.io/version"] ?? labels.version ??
    "latest";
}
