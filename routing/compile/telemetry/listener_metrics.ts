/** Tells agents by their listeners what Telemetries change of the metrics. */
import { create } from "@bufbuild/protobuf";
import { MetadataSchema, TrafficDirection } from "../../xds/gen/envoy/config/core/v3/base_pb.ts";
import { type Listener, ListenerSchema } from "../../xds/gen/envoy/config/listener/v3/listener_pb.ts";
import type { Side } from "./levels.ts";
import { METRICS_METADATA } from "./metrics.ts";
import type { ProxySettings } from "./proxy_settings.ts";

const told = new WeakMap<Listener, WeakMap<ProxySettings, Listener>>();

/** The listeners with what holds for their side. Where nothing is changed, or again for the same, the very same. */
export function withMetrics(
  listeners: Map<string, Listener>,
  sides: Readonly<Record<Side, ProxySettings>>,
): Map<string, Listener> {
  if (sides.CLIENT.metrics === undefined && sides.SERVER.metrics === undefined) return listeners;
  return new Map([...listeners].map(([name, listener]) => {
    const settings = sides[listener.trafficDirection === TrafficDirection.INBOUND ? "SERVER" : "CLIENT"];
    return [name, settings.metrics === undefined ? listener : tell(listener, settings)];
  }));
}

function tell(listener: Listener, settings: ProxySettings): Listener {
  let bySettings = told.get(listener);
  if (bySettings === undefined) told.set(listener, bySettings = new WeakMap());
  let known = bySettings.get(settings);
  if (known === undefined) {
    const filterMetadata = { ...listener.metadata?.filterMetadata, [METRICS_METADATA]: settings.metrics ?? {} };
    known = create(ListenerSchema, { ...listener, metadata: create(MetadataSchema, { filterMetadata }) });
    bySettings.set(settings, known);
  }
  return known;
}
