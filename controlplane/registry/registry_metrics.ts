/** Metrics of what the mesh consists of, by istiod's names. */
import type { MetricSet } from "../metrics/metric_set.ts";
import type { Registry } from "./registry.ts";

export function registryMetrics(metrics: MetricSet, registry: Registry): void {
  metrics.gauge("pilot_services", "Services known to the control plane.", () => registry.mesh().services.size);
  metrics.gauge("pilot_virt_services", "VirtualServices in force.", () => registry.mesh().virtualServices.length);
  metrics.gauge(
    "skiff_conflicts",
    "Resources and workloads not in force as they ask to be.",
    () => registry.conflicts().length,
  );
}
