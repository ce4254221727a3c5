/**
 * What Istio's resources may say that this version does not act on. It is taken, so that files need no change, and
 * told, so that nobody relies on it.
 */
import type { Cursor } from "../yaml/cursor.ts";
import { isNull, quote } from "../yaml/node.ts";

/** One field, by its place under `spec`. `[]` stands for every item of a list. */
export interface NotInForce {
  field: string;
  /** Only these values of it; without it, whatever it says. */
  values?: RegExp;
}

/** HTTP/2 it speaks; what is gRPC-Web is not translated, and a proxy port takes no datagrams. */
const notServed = /^(GRPC-WEB|HTTP_PROXY|UDP)$/i;
const yes = /^(true|yes|on)$/i;

/** Taken as 1.2. */
const olderTls = /^TLSV1_[01]$/;

const virtualService: NotInForce[] = [
  { field: "tcp[].match[].sourceSubnet" },
];

const serverTls: NotInForce[] = [
  { field: "minProtocolVersion", values: olderTls },
  { field: "maxProtocolVersion", values: olderTls },
  { field: "insecureSkipVerify", values: yes },
];

const gateway: NotInForce[] = [
  { field: "servers[].port.protocol", values: /^(HTTP_PROXY|UDP)$/i },
  { field: "servers[].bind", values: /^unix:/ },
  { field: "servers[].tls.tlsCertificates[].caCertificates" },
  { field: "servers[].defaultEndpoint" },
  { field: "servers[].tls.mode", values: /^AUTO_PASSTHROUGH$/ },
  ...under("servers[].tls", serverTls),
];

const trafficPolicy: NotInForce[] = [
  { field: "loadBalancer.simple", values: /^PASSTHROUGH$/ },
  { field: "loadBalancer.zoneAwareLbSetting" },
  { field: "outlierDetection.consecutiveErrors" },
];

const sidecar: NotInForce[] = [
  { field: "ingress[].captureMode", values: /^IPTABLES$/ },
  { field: "egress[].captureMode", values: /^IPTABLES$/ },
  { field: "egress[].bind", values: /^unix:/ },
  ...under("ingress[].tls", serverTls),
  // Upgrades are for callers.
  { field: "ingress[].connectionPool.http.h2UpgradePolicy", values: /^UPGRADE$/ },
  { field: "inboundConnectionPool.http.h2UpgradePolicy", values: /^UPGRADE$/ },
];

const telemetry: NotInForce[] = [
  { field: "tracing" },
  // Counters are up to date at any moment.
  { field: "metrics[].reportingInterval" },
  { field: "metrics[].overrides[].match.customMetric" },
  { field: "metrics[].overrides[].match.metric", values: /^GRPC_/ },
];

const wholePolicy: NotInForce[] = [
  ...trafficPolicy,
  ...under("portLevelSettings[]", trafficPolicy),
  { field: "retryBudget.budgetInterval", values: /[1-9]/ },
];

const destinationRule: NotInForce[] = [
  ...under("trafficPolicy", wholePolicy),
  ...under("subsets[].trafficPolicy", wholePolicy),
];

const workloadEntry: NotInForce[] = [
  { field: "network" },
];

const workloadGroup: NotInForce[] = [
  { field: "metadata" },
  { field: "template" },
  { field: "probe" },
];

const serviceEntry: NotInForce[] = [
  // A range cannot be listened on, and no proxy port is asked for one.
  { field: "addresses[]", values: /\// },
  { field: "ports[].protocol", values: notServed },
  ...under("endpoints[]", workloadEntry),
];

const service: NotInForce[] = [
  { field: "type", values: /^ExternalName$/ },
  { field: "externalName" },
  { field: "sessionAffinity", values: /^ClientIP$/ },
  { field: "ports[].protocol", values: /^(UDP|SCTP)$/ },
];

/** By kind. docs/istio-api.md says why, entry by entry. */
export const notInForce: Readonly<Record<string, readonly NotInForce[]>> = {
  VirtualService: virtualService,
  DestinationRule: destinationRule,
  Gateway: gateway,
  Sidecar: sidecar,
  Telemetry: telemetry,
  ServiceEntry: serviceEntry,
  WorkloadEntry: workloadEntry,
  WorkloadGroup: workloadGroup,
  Service: service,
};

function under(prefix: string, entries: NotInForce[]): NotInForce[] {
  return entries.map((entry) => ({ ...entry, field: `${prefix}.${entry.field}` }));
}

/** Warns at every place of the spec that says something this version does not act on. */
export function warnOfWhatIsNotInForce(kind: string, spec: Cursor): void {
  for (const { field, values } of Object.hasOwn(notInForce, kind) ? notInForce[kind] : []) {
    const steps = field.replaceAll("[]", ".[]").split(".");
    for (const place of places(spec, steps)) warn(place, values);
  }
}

function warn(place: Cursor, values: RegExp | undefined): void {
  if (values === undefined) {
    place.warning("accepted but not in force in this version");
  } else if (place.node.type === "scalar" && values.test(place.node.source)) {
    place.warning(`${quote(place.node.source)} is accepted but not in force in this version`);
  }
}

function places(from: Cursor, steps: string[]): Cursor[] {
  if (steps.length === 0) return isNull(from.node) ? [] : [from];
  const [step, ...rest] = steps;
  const next = step === "[]"
    ? from.items()
    : from.has(step)
    ? [steps.length === 1 ? keyed(from, step) : from.at(step)]
    : [];
  return next.flatMap((cursor) => places(cursor, rest));
}

/** The field itself, pointing at its key: of a whole block the key is what a reader looks for. */
function keyed(from: Cursor, step: string): Cursor {
  const field = from.at(step);
  return field.node.type === "scalar" ? field : from.atKey(step);
}
