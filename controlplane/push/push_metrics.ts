/** Metrics of pushing, by istiod's names. */
import type { MetricSet } from "../metrics/metric_set.ts";
import type { ResourceType } from "./resource_types.ts";

export interface PushMetrics {
  pushed(type: ResourceType): void;
  rejected(type: ResourceType): void;
  /** @param delay milliseconds from a change to its acknowledgement */
  acknowledged(delay: number): void;
  failed(): void;
}

const delayBounds = [0.01, 0.03, 0.1, 0.3, 1, 3, 5, 10, 20, 30];

export function pushMetrics(metrics: MetricSet, connected: () => number): PushMetrics {
  const pushes = metrics.counter("pilot_xds_pushes", "Responses sent to proxies, by type.");
  const rejects = metrics.counter("pilot_total_xds_rejects", "Responses that proxies have refused, by type.");
  const errors = metrics.counter("pilot_total_xds_internal_errors", "Failures of the control plane while pushing.");
  const convergence = metrics.histogram(
    "pilot_proxy_convergence_time",
    "Seconds from a change to a proxy's acknowledgement of it.",
    delayBounds,
  );
  metrics.gauge("pilot_xds", "Proxies connected by ADS.", connected);
  return {
    pushed: (type) => pushes.add({ type: type.toLowerCase() }),
    rejected: (type) => rejects.add({ type: type.toLowerCase() }),
    acknowledged: (delay) => convergence.observe(delay / 1000),
    failed: () => errors.add(),
  };
}
