/** What Telemetries change of Istio's standard metrics, in the words of Envoy's filter for them (`stats.PluginConfig`). */
import type { JsonObject } from "@bufbuild/protobuf";
import { literalOf } from "../../istio/schema/telemetry.ts";
import type { IstioMetric, Telemetry } from "../../istio/telemetry_types.ts";
import type { MeshSettings } from "../../mesh.ts";
import { isFor, type Side } from "./levels.ts";
import type { Warn } from "../warning.ts";

/** Key of a listener's metadata under which the agent finds it. */
export const METRICS_METADATA = "istio.stats";
const PROMETHEUS = "prometheus";

/** By Istio's names of them, which for Prometheus begin with `istio_`. */
const names: Readonly<Record<Exclude<IstioMetric, "ALL_METRICS">, string>> = {
  REQUEST_COUNT: "requests_total",
  REQUEST_DURATION: "request_duration_milliseconds",
  REQUEST_SIZE: "request_bytes",
  RESPONSE_SIZE: "response_bytes",
  TCP_OPENED_CONNECTIONS: "tcp_connections_opened_total",
  TCP_CLOSED_CONNECTIONS: "tcp_connections_closed_total",
  TCP_SENT_BYTES: "tcp_sent_bytes_total",
  TCP_RECEIVED_BYTES: "tcp_received_bytes_total",
  GRPC_REQUEST_MESSAGES: "request_messages_total",
  GRPC_RESPONSE_MESSAGES: "response_messages_total",
};

interface MetricChange {
  drop: boolean;
  /** `null`: the tag is removed. */
  tags: Map<string, string | null>;
}

/** `undefined`: nothing is changed. Inner levels have the last word on each metric and each tag. */
export function metricsOverrides(
  levels: readonly Telemetry[],
  side: Side,
  settings: MeshSettings,
  warn: Warn,
): JsonObject | undefined {
  const changes = new Map<string, MetricChange>();
  for (const telemetry of levels) {
    telemetry.spec.metrics?.forEach(
      ({ providers = settings.defaultProviders?.metrics ?? [], overrides = [] }, index) => {
        const named = providers.map((provider) => typeof provider === "string" ? provider : provider.name);
        if (named.length > 0 && !named.includes(PROMETHEUS)) {
          const { namespace, name } = telemetry.metadata;
          const message = `${named.join(", ")}: prometheus is the only provider of metrics`;
          warn({ kind: "Telemetry", namespace, name, field: `metrics[${index}].providers`, message });
          return;
        }
        for (const { match, disabled, tagOverrides = {} } of overrides) {
          if (!isFor(match, side)) continue;
          for (const metric of metricsOf(match)) {
            const change = changes.get(metric) ?? { drop: false, tags: new Map() };
            changes.set(metric, change);
            if (disabled !== undefined) change.drop = disabled;
            for (const [tag, { operation = "UPSERT", value = "" }] of Object.entries(tagOverrides)) {
              const literal = literalOf(value);
              if (operation === "REMOVE") change.tags.set(tag, null);
              else if (literal !== undefined) change.tags.set(tag, literal);
            }
          }
        }
      },
    );
  }
  const metrics = [...changes].flatMap(([name, { drop, tags }]): JsonObject[] => {
    const removed = [...tags].filter(([, value]) => value === null).map(([tag]) => tag);
    const set = [...tags].filter(([, value]) => value !== null);
    if (!drop && removed.length === 0 && set.length === 0) return [];
    return [{
      name,
      ...(drop ? { drop } : {}),
      ...(removed.length === 0 ? {} : { tags_to_remove: removed }),
      ...(set.length === 0 ? {} : { dimensions: Object.fromEntries(set.map(([tag, value]) => [tag, `'${value}'`])) }),
    }];
  });
  return metrics.length === 0 ? undefined : { metrics };
}

function metricsOf(match: { metric?: IstioMetric; customMetric?: string } | undefined): string[] {
  if (match?.customMetric !== undefined) return [match.customMetric];
  const { metric = "ALL_METRICS" } = match ?? {};
  return metric === "ALL_METRICS" ? Object.values(names) : [names[metric]];
}
