/** `extensionProviders` and `defaultProviders` of MeshConfig: where access logs and metrics go. */
import { atMostOne, exactlyOne, list, map, message, required } from "../yaml/collections.ts";
import type { Cursor } from "../yaml/cursor.ts";
import { anything, boolean, nonEmpty, type Schema, string, text } from "../yaml/schema.ts";
import type { MeshSettings } from "../mesh.ts";

interface WrittenFileAccessLog {
  path?: string;
  logFormat?: { text?: string; labels?: Record<string, string> };
  omitEmptyValues?: boolean;
}

/** Kinds that this version takes and does not act on. */
const otherKinds = [
  "datadog",
  "envoyExtAuthzGrpc",
  "envoyExtAuthzHttp",
  "envoyHttpAls",
  "envoyOtelAls",
  "envoyTcpAls",
  "lightstep",
  "opencensus",
  "opentelemetry",
  "sds",
  "skywalking",
  "stackdriver",
  "zipkin",
] as const;

type OtherKinds = { [name in (typeof otherKinds)[number]]?: unknown };

type WrittenProvider = { name: string; envoyFileAccessLog?: WrittenFileAccessLog; prometheus?: unknown } & OtherKinds;

export interface Providers {
  extensionProviders?: WrittenProvider[];
  defaultProviders?: { tracing?: string[]; metrics?: string[]; accessLogging?: string[] };
}

/** A text rule: absolute path, or nothing. */
export function logPath(value: string): string | undefined {
  return value === "" || value.startsWith("/") ? undefined : "be an absolute path such as /dev/stdout, or empty";
}

const fileAccessLog: Schema<WrittenFileAccessLog> = message<WrittenFileAccessLog>({
  path: string(logPath),
  logFormat: message<NonNullable<WrittenFileAccessLog["logFormat"]>>(
    { text: text(), labels: map(text()) },
    (_, cursor) => atMostOne(cursor, "text", "labels"),
  ),
  omitEmptyValues: boolean,
});

export const extensionProviders: Schema<WrittenProvider[]> = list(message<WrittenProvider>({
  name: required(string(nonEmpty)),
  envoyFileAccessLog: fileAccessLog,
  prometheus: anything,
  ...Object.fromEntries(otherKinds.map((name) => [name, anything])) as {
    [name in keyof OtherKinds]-?: Schema<Exclude<unknown, undefined>>;
  },
}, (_, cursor) => {
  exactlyOne(cursor, "envoyFileAccessLog", "prometheus", ...otherKinds);
  for (const name of otherKinds) {
    if (cursor.has(name)) cursor.atKey(name).warning("accepted but not in force in this version");
  }
}));

export const defaultProviders: Schema<NonNullable<Providers["defaultProviders"]>> = message<
  NonNullable<Providers["defaultProviders"]>
>({
  tracing: list(string(nonEmpty)),
  metrics: list(string(nonEmpty)),
  accessLogging: list(string(nonEmpty)),
});

/** The rules between the two. */
export function checkProviders({ extensionProviders = [], defaultProviders = {} }: Providers, cursor: Cursor): void {
  const names = extensionProviders.map(({ name }) => name);
  names.forEach((name, index) => {
    if (names.indexOf(name) === index) return;
    cursor.at("extensionProviders", index, "name").error(`${JSON.stringify(name)} is the name of an earlier provider`);
  });
  const { tracing = [], metrics = [], accessLogging = [] } = defaultProviders;
  const at = cursor.at("defaultProviders");
  if (tracing.length > 0) at.atKey("tracing").warning("accepted but not in force in this version");
  metrics.forEach((name, index) => {
    if (name !== "prometheus") at.at("metrics", index).warning("is not in force: metrics are prometheus's alone");
  });
  accessLogging.forEach((name, index) => {
    const provider = extensionProviders.find((each) => each.name === name);
    if (provider?.envoyFileAccessLog !== undefined || (provider === undefined && name === "envoy")) return;
    at.at("accessLogging", index).warning("is not in force: it is the name of no envoyFileAccessLog");
  });
}

/** What of them proxies act on. */
export function providerSettings(
  { extensionProviders, defaultProviders }: Providers,
): Pick<MeshSettings, "extensionProviders" | "defaultProviders"> {
  const { accessLogging, metrics } = defaultProviders ?? {};
  const byName = extensionProviders?.map(({ name, envoyFileAccessLog: log }) => {
    if (log === undefined) return [name, {}] as const;
    const { path, logFormat, omitEmptyValues } = log;
    return [name, {
      fileAccessLog: {
        path: path || "/dev/stdout",
        ...(logFormat?.text ? { text: logFormat.text } : {}),
        ...(logFormat?.labels ? { labels: logFormat.labels } : {}),
        ...(omitEmptyValues ? { omitEmptyValues } : {}),
      },
    }] as const;
  });
  return {
    ...(byName === undefined ? {} : { extensionProviders: new Map(byName) }),
    ...(accessLogging === undefined && metrics === undefined ? {} : { defaultProviders: { accessLogging, metrics } }),
  };
}
