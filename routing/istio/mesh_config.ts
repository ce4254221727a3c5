/** `mesh.yaml`: settings of the whole mesh, by the names of Istio's MeshConfig. */
import { list, message } from "../yaml/collections.ts";
import { Cursor, Report } from "../yaml/cursor.ts";
import { describe } from "../yaml/node.ts";
import { parseYaml } from "../yaml/parse.ts";
import { anything, enumeration, integer, type Schema, schema, string, text, wrong } from "../yaml/schema.ts";
import type { MeshSettings, PathNormalization } from "../mesh.ts";
import { duration, parseDuration } from "./duration.ts";
import { inOrderOfText, type Problem, problemOf } from "./problem.ts";
import {
  checkProviders,
  defaultProviders,
  extensionProviders,
  logPath,
  type Providers,
  providerSettings,
} from "./extension_providers.ts";
import { tcpKeepalive } from "./schema/connection_pool.ts";
import { retry } from "./schema/http_actions.ts";
import { localityLbSetting } from "./schema/load_balancer.ts";
import { dnsLabel, exportTo } from "./schema/names.ts";
import type { HTTPRetry, LocalityLbSetting, TcpKeepalive } from "./types.ts";

/** Istio's defaults (DefaultMeshConfig in its source). */
export const defaultMeshSettings: Readonly<MeshSettings> = {
  trustDomain: "cluster.local",
  domain: "cluster.local",
  rootNamespace: "istio-system",
  outboundTrafficPolicy: "ALLOW_ANY",
  connectTimeout: 10_000,
  accessLogFile: "",
  accessLogEncoding: "TEXT",
  accessLogFormat: "",
};

interface InForce extends Providers {
  trustDomain?: string;
  trustDomainAliases?: string[];
  rootNamespace?: string;
  outboundTrafficPolicy?: { mode?: "ALLOW_ANY" | "REGISTRY_ONLY" | "ALLOW_ANY_DYNAMIC_DNS" };
  connectTimeout?: string;
  tcpKeepalive?: TcpKeepalive;
  defaultHttpRetryPolicy?: HTTPRetry;
  defaultServiceExportTo?: string[];
  defaultVirtualServiceExportTo?: string[];
  defaultDestinationRuleExportTo?: string[];
  dnsRefreshRate?: string;
  protocolDetectionTimeout?: string;
  accessLogFile?: string;
  accessLogEncoding?: "TEXT" | "JSON";
  accessLogFormat?: string;
  pathNormalization?: { normalization?: "DEFAULT" | PathNormalization };
  localityLbSetting?: LocalityLbSetting;
  h2UpgradePolicy?: "DO_NOT_UPGRADE" | "UPGRADE";
  defaultConfig?: { gatewayTopology?: { numTrustedProxies?: number } };
}

/** Fields of MeshConfig that this version takes and does not act on; docs/istio-api.md says why. */
export const meshFieldsNotInForce = [
  "ca",
  "caCertificates",
  "configSources",
  "defaultInboundHttpRetryPolicy",
  "defaultTrafficPolicy",
  "disableEnvoyListenerLog",
  "discoverySelectors",
  "enableAutoMtls",
  "enableEnvoyAccessLogService",
  "enablePrometheusMerge",
  "enableTracing",
  "hboneIdleTimeout",
  "inboundClusterStatName",
  "inboundTrafficPolicy",
  "ingressClass",
  "ingressControllerMode",
  "ingressSelector",
  "ingressService",
  "meshMTLS",
  "outboundClusterStatName",
  "proxyHttpPort",
  "proxyInboundListenPort",
  "proxyListenPort",
  "serviceEntryVisibility",
  "serviceScopeConfigs",
  "serviceSettings",
  "tlsDefaults",
  "verifyCertificateAtClient",
  "zoneAwareLbSetting",
] as const;

type MeshConfig = InForce & { [name in (typeof meshFieldsNotInForce)[number]]?: unknown };

/** A text rule: trust domain of the SPIFFE specification, §2.1. */
export function trustDomain(value: string): string | undefined {
  return /^[a-z0-9._-]{1,255}$/.test(value) ? undefined : "be a trust domain (lower-case letters, digits, -, _, dots)";
}

const topology = message<{ numTrustedProxies?: number; forwardClientCertDetails?: unknown; proxyProtocol?: unknown }>({
  numTrustedProxies: integer(0, 2 ** 31 - 1),
  forwardClientCertDetails: anything,
  proxyProtocol: anything,
}, (_, cursor) => {
  for (const name of ["forwardClientCertDetails", "proxyProtocol"]) if (cursor.has(name)) notYet(cursor, name);
});

/** Of ProxyConfig: what stands in front of gateways is in force, and all else is only taken. */
const defaultConfig: Schema<NonNullable<InForce["defaultConfig"]>> = schema(
  { type: "object", properties: { gatewayTopology: topology.json ?? {} } },
  (cursor) => {
    if (cursor.node.type !== "map") return wrong(cursor, `must be a map, found ${describe(cursor.node)}`);
    for (const name of cursor.node.entries.keys()) if (name !== "gatewayTopology") notYet(cursor, name);
    if (!cursor.has("gatewayTopology")) return {};
    const gatewayTopology = topology(cursor.at("gatewayTopology"));
    return gatewayTopology === undefined ? undefined : { gatewayTopology };
  },
);

function notYet(cursor: Cursor, name: string): void {
  cursor.atKey(name).warning("accepted but not in force in this version");
}

/** The whole file. */
export const meshConfig: Schema<MeshConfig> = message<MeshConfig>({
  extensionProviders,
  defaultProviders,
  trustDomain: string(trustDomain),
  trustDomainAliases: list(string(trustDomain)),
  rootNamespace: string(dnsLabel),
  outboundTrafficPolicy: message<NonNullable<InForce["outboundTrafficPolicy"]>>({
    mode: enumeration("ALLOW_ANY", "REGISTRY_ONLY", "ALLOW_ANY_DYNAMIC_DNS"),
  }),
  connectTimeout: duration(),
  tcpKeepalive,
  defaultHttpRetryPolicy: retry,
  defaultServiceExportTo: exportTo,
  defaultVirtualServiceExportTo: exportTo,
  defaultDestinationRuleExportTo: exportTo,
  dnsRefreshRate: duration(),
  protocolDetectionTimeout: duration(),
  accessLogFile: string(logPath),
  accessLogEncoding: enumeration("TEXT", "JSON"),
  accessLogFormat: text(),
  pathNormalization: message<NonNullable<InForce["pathNormalization"]>>({
    normalization: enumeration("DEFAULT", "NONE", "BASE", "MERGE_SLASHES", "DECODE_AND_MERGE_SLASHES"),
  }),
  localityLbSetting,
  h2UpgradePolicy: enumeration("DO_NOT_UPGRADE", "UPGRADE"),
  defaultConfig,
  ...Object.fromEntries(meshFieldsNotInForce.map((name) => [name, anything])) as {
    [name in (typeof meshFieldsNotInForce)[number]]-?: Schema<Exclude<unknown, undefined>>;
  },
}, (config, cursor) => {
  checkProviders(config, cursor);
  for (const name of meshFieldsNotInForce) {
    // Mutual TLS between workloads is always on: saying so is no promise unkept.
    if (!cursor.has(name) || (name === "enableAutoMtls" && config.enableAutoMtls === true)) continue;
    notYet(cursor, name);
  }
});

/**
 * Reads `mesh.yaml`. Settings that are absent or wrong have Istio's defaults; a text without content is valid.
 *
 * @param file Name for messages.
 */
export function parseMeshConfig(file: string, text: string): { settings: MeshSettings; problems: Problem[] } {
  const subject = { kind: "MeshConfig", namespace: "", name: "" };
  const { documents, problems: unreadable } = parseYaml(text);
  const problems = unreadable.map((problem) => problemOf(file, subject, { severity: "error", path: "", ...problem }));
  const report = new Report();
  const [document, second] = documents;
  if (second !== undefined) {
    new Cursor(second, report).error("must be the only document of the file: remove the others");
  }
  const config = document === undefined ? {} : meshConfig(new Cursor(document, report)) ?? {};
  problems.push(...report.issues.map((issue) => problemOf(file, subject, issue)));
  return { settings: settingsOf(config), problems: inOrderOfText(problems) };
}

function settingsOf(config: InForce): MeshSettings {
  const { connectTimeout, outboundTrafficPolicy } = config;
  const numTrustedProxies = config.defaultConfig?.gatewayTopology?.numTrustedProxies;
  const normalization = config.pathNormalization?.normalization;
  return {
    trustDomain: config.trustDomain ?? defaultMeshSettings.trustDomain,
    ...(config.trustDomainAliases?.length ? { trustDomainAliases: config.trustDomainAliases } : {}),
    domain: defaultMeshSettings.domain,
    rootNamespace: config.rootNamespace ?? defaultMeshSettings.rootNamespace,
    // ALLOW_ANY goes by names here as ALLOW_ANY_DYNAMIC_DNS does: a proxy port knows no other destination.
    outboundTrafficPolicy: outboundTrafficPolicy?.mode === "REGISTRY_ONLY" ? "REGISTRY_ONLY" : "ALLOW_ANY",
    connectTimeout: connectTimeout === undefined ? defaultMeshSettings.connectTimeout : parseDuration(connectTimeout),
    ...(config.tcpKeepalive === undefined ? {} : { tcpKeepalive: config.tcpKeepalive }),
    ...(config.defaultHttpRetryPolicy === undefined ? {} : { defaultRetries: config.defaultHttpRetryPolicy }),
    ...defaultExportTo(config),
    ...(config.dnsRefreshRate === undefined ? {} : { dnsRefreshRate: parseDuration(config.dnsRefreshRate) }),
    ...detectionTimeout(config),
    accessLogFile: config.accessLogFile ?? defaultMeshSettings.accessLogFile,
    accessLogEncoding: config.accessLogEncoding ?? defaultMeshSettings.accessLogEncoding,
    accessLogFormat: config.accessLogFormat ?? defaultMeshSettings.accessLogFormat,
    ...(normalization === undefined || normalization === "DEFAULT" ? {} : { pathNormalization: normalization }),
    ...providerSettings(config),
    ...(config.localityLbSetting === undefined ? {} : { localityLbSetting: config.localityLbSetting }),
    ...(config.h2UpgradePolicy === undefined ? {} : { h2UpgradePolicy: config.h2UpgradePolicy }),
    ...(numTrustedProxies === undefined ? {} : { gatewayTopology: { numTrustedProxies } }),
  };
}

function defaultExportTo(config: InForce): Pick<MeshSettings, "defaultExportTo"> {
  const defaults = {
    ...(config.defaultServiceExportTo === undefined ? {} : { services: config.defaultServiceExportTo }),
    ...(config.defaultVirtualServiceExportTo === undefined
      ? {}
      : { virtualServices: config.defaultVirtualServiceExportTo }),
    ...(config.defaultDestinationRuleExportTo === undefined
      ? {}
      : { destinationRules: config.defaultDestinationRuleExportTo }),
  };
  return Object.keys(defaults).length === 0 ? {} : { defaultExportTo: defaults };
}

/** Istio's `0s`, its default, is to wait for ever; here it is as if nothing were said. */
function detectionTimeout({ protocolDetectionTimeout }: InForce): Pick<MeshSettings, "protocolDetectionTimeout"> {
  const timeout = protocolDetectionTimeout === undefined ? 0 : parseDuration(protocolDetectionTimeout);
  return timeout === 0 ? {} : { protocolDetectionTimeout: timeout };
}
