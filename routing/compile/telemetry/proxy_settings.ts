/** The mesh's settings as they hold for one side of one proxy: with what Telemetries say of it. */
import type { JsonObject } from "@bufbuild/protobuf";
import type { Mesh, MeshSettings } from "../../mesh.ts";
import type { Client } from "../destination_rules.ts";
import { type ListToken, listToken } from "../intern.ts";
import type { Warn } from "../warning.ts";
import { workloadHostname } from "../workload_hostname.ts";
import { accessLogging, type AccessLogOf } from "./access_logging.ts";
import { type Side, telemetryLevels } from "./levels.ts";
import { metricsOverrides } from "./metrics.ts";

export interface ProxySettings extends MeshSettings {
  /** Absent: `accessLogFile`'s. */
  accessLogs?: readonly AccessLogOf[];
  /** What changes of the standard metrics; absent: nothing. */
  metrics?: JsonObject;
}

const compiled = new WeakMap<MeshSettings, Map<Side, WeakMap<ListToken, ProxySettings>>>();

/** The same object for the same Telemetries, and the mesh's own where none has something to say. */
export function proxySettings(mesh: Mesh, client: Client, side: Side, warn: Warn = () => {}): ProxySettings {
  const { settings } = mesh;
  if (!mesh.telemetries?.length && settings.defaultProviders === undefined) return settings;
  const { namespace, labels } = client;
  const levels = telemetryLevels(mesh, { namespace, labels, hostname: workloadHostname(mesh, client) });
  let bySide = compiled.get(settings);
  if (bySide === undefined) compiled.set(settings, bySide = new Map());
  let byLevels = bySide.get(side);
  if (byLevels === undefined) bySide.set(side, byLevels = new WeakMap());
  const token = listToken(levels);
  const accessLogs = accessLogging(levels, side, settings, warn);
  const metrics = metricsOverrides(levels, side, settings, warn);
  let known = byLevels.get(token);
  if (known === undefined) {
    known = accessLogs === undefined && metrics === undefined
      ? settings
      : { ...settings, ...(accessLogs && { accessLogs }), ...(metrics && { metrics }) };
    byLevels.set(token, known);
  }
  return known;
}
