/** What a listener's metadata changes of Istio's metrics, in the words of Envoy's filter for them (`stats.PluginConfig`). */
import type { JsonValue } from "@bufbuild/protobuf";
import type { Metadata } from "../../../routing/xds/gen/envoy/config/core/v3/base_pb.ts";
import type { MetricChange } from "../../record/series.ts";
import type { Place } from "./unsupported.ts";
import { textValues } from "./values.ts";

const KEY = "istio.stats";

/** By the metric's name without `istio_`; `undefined`: nothing is changed. */
export function metricChanges(metadata: Metadata | undefined, place: Place): Record<string, MetricChange> | undefined {
  const metrics = metadata?.filterMetadata[KEY]?.["metrics"];
  if (metrics === undefined) return undefined;
  const at = place.field("metrics");
  if (!Array.isArray(metrics)) return at.refuse("want a list");
  return Object.fromEntries(metrics.map((metric, index) => metricChange(metric, at.item(index))));
}

function metricChange(metric: JsonValue, place: Place): [string, MetricChange] {
  if (typeof metric !== "object" || metric === null || Array.isArray(metric)) return place.refuse("want an object");
  const { name, drop = false, dimensions = {}, tags_to_remove: removed = [], ...others } = metric;
  for (const field of Object.keys(others)) place.field(field).refuse("is not implemented");
  if (typeof name !== "string") return place.field("name").refuse("want text");
  if (typeof drop !== "boolean") return place.field("drop").refuse("want true or false");
  if (!Array.isArray(removed)) return place.field("tags_to_remove").refuse("want a list");
  const at = place.field("dimensions");
  if (typeof dimensions !== "object" || dimensions === null || Array.isArray(dimensions)) {
    return at.refuse("want an object");
  }
  const tags = Object.entries(textValues(dimensions, at)).map(([tag, value]): [string, string] => {
    const literal = /^'([^']*)'$/.exec(value);
    return [tag, literal === null ? at.key(tag).refuse("want a literal text in single quotes") : literal[1]];
  });
  return [name, { drop, removedTags: removed.map(String), tags: Object.fromEntries(tags) }];
}
