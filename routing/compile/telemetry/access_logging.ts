/** The access logs that Telemetries ask for. */
import type { Telemetry } from "../../istio/telemetry_types.ts";
import type { FileAccessLogProvider, MeshSettings } from "../../mesh.ts";
import { isFor, type Side } from "./levels.ts";
import type { Warn } from "../warning.ts";

/** Istio's provider that is there without being named: the log of MeshConfig's `accessLogFile`. */
const ENVOY = "envoy";

/** One access log of a proxy. */
export interface AccessLogOf {
  provider: FileAccessLogProvider;
  /** CEL; absent: everything is logged. */
  filter?: string;
}

interface Logging {
  disabled: boolean;
  filter?: string;
}

/**
 * What one side of a workload logs; `undefined`: what MeshConfig says of all.
 *
 * As in Istio, a level that names providers takes the place of the outer ones; what names none speaks of those that are
 * there. Where MeshConfig names a file and no default providers, `envoy` is there.
 */
export function accessLogging(
  levels: readonly Telemetry[],
  side: Side,
  settings: MeshSettings,
  warn: Warn,
): AccessLogOf[] | undefined {
  const defaults = settings.defaultProviders?.accessLogging ?? [];
  if (defaults.length === 0 && levels.every(({ spec }) => !spec.accessLogging?.length)) return undefined;
  let names = defaults.length > 0 || settings.accessLogFile === "" ? defaults : [ENVOY];
  const logging = new Map<string, Logging>();
  for (const telemetry of levels) {
    const entries = (telemetry.spec.accessLogging ?? []).filter(({ match }) => isFor(match, side));
    const named = entries.flatMap(({ providers = [] }) => providers.map(({ name }) => name));
    warnOfUnknown(telemetry, settings, warn);
    if (named.length > 0) names = [...new Set(named)];
    for (const { providers, disabled = false, filter } of entries) {
      const expression = filter?.expression;
      const speaksOf = providers?.length ? providers.map(({ name }) => name) : names;
      for (const name of speaksOf) logging.set(name, { disabled, ...(expression ? { filter: expression } : {}) });
    }
  }
  return names.flatMap((name) => {
    const provider = fileProvider(name, settings);
    const { disabled = false, filter } = logging.get(name) ?? {};
    return provider === undefined || disabled ? [] : [{ provider, ...(filter === undefined ? {} : { filter }) }];
  });
}

function fileProvider(name: string, settings: MeshSettings): FileAccessLogProvider | undefined {
  const provider = settings.extensionProviders?.get(name);
  if (provider !== undefined) return provider.fileAccessLog;
  return name === ENVOY ? { path: settings.accessLogFile || "/dev/stdout" } : undefined;
}

function warnOfUnknown({ spec, metadata: { namespace, name } }: Telemetry, settings: MeshSettings, warn: Warn): void {
  spec.accessLogging?.forEach(({ providers = [] }, entry) =>
    providers.forEach((provider, index) => {
      if (fileProvider(provider.name, settings) !== undefined) return;
      const known = settings.extensionProviders?.has(provider.name);
      warn({
        kind: "Telemetry",
        namespace,
        name,
        field: `accessLogging[${entry}].providers[${index}].name`,
        message: known
          ? `provider ${JSON.stringify(provider.name)} is no envoyFileAccessLog: nothing is logged to it`
          : `mesh.yaml has no extensionProvider ${JSON.stringify(provider.name)}: nothing is logged to it`,
      });
    })
  );
}
