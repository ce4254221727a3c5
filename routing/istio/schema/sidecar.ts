/** Sidecar, by the rules of Istio's validator. */
import { list, map, message, required } from "../../yaml/collections.ts";
import type { Cursor } from "../../yaml/cursor.ts";
import { quote } from "../../yaml/node.ts";
import { enumeration, integer, type Schema, string } from "../../yaml/schema.ts";
import type { IstioEgressListener, IstioIngressListener, SidecarPort, SidecarSpec } from "../sidecar_types.ts";
import { connectionPool } from "./connection_pool.ts";
import { destination } from "./destination.ts";
import { fullHost, serverTls } from "./gateway.ts";
import { protocol } from "./protocol.ts";
import { isAddress, istioLabel, labelKey, portNumber } from "./names.ts";

const captureMode = enumeration("DEFAULT", "IPTABLES", "NONE");

/** A text rule: value of a label that workloads are selected by. */
function selectorValue(value: string): string | undefined {
  if (value.includes("*")) return "not contain *: labels are compared as they stand";
  return value.length <= 63 ? undefined : "have at most 63 characters";
}

/** `workloadSelector` of networking kinds. */
export const networkingSelector: Schema<{ labels?: Record<string, string> }> = message<
  { labels?: Record<string, string> }
>({ labels: map(string(selectorValue), labelKey, { maximum: 256 }) });

const port: Schema<SidecarPort> = message<SidecarPort>({
  // 0 stands for none, of a Unix socket.
  number: integer(0, 65535),
  protocol: string((value) => value === "" ? undefined : protocol(value)),
  name: string((value) => value === "" ? undefined : istioLabel(value)),
  targetPort: portNumber,
}, ({ targetPort }, cursor) => {
  if (targetPort !== undefined) {
    cursor.atKey("targetPort").error("has no meaning at a Sidecar: remove it, and say defaultEndpoint");
  }
});

/** A text rule: `namespace/dnsName`. */
function egressHost(value: string): string | undefined {
  const slash = value.indexOf("/");
  if (slash < 0) return "be namespace/dnsName, such as ./* or */reviews.default.svc.cluster.local";
  const namespace = value.slice(0, slash);
  const excludes = namespace.length > 1 && namespace.startsWith("~");
  const meant = excludes ? namespace.slice(1) : namespace;
  if (!["*", "."].includes(meant) && namespace !== "~" && istioLabel(meant) !== undefined) {
    return "begin with a namespace, *, . or ~ before the slash, or with ~ and one of these to exclude";
  }
  return fullHost(value.slice(slash + 1));
}

/** A text rule: where an ingress listener hands connections to. */
function defaultEndpoint(value: string): string | undefined {
  if (/^unix:\/\/(\/|@)./.test(value)) return undefined;
  const match = /^(127\.0\.0\.1|0\.0\.0\.0|\[::1\]|\[::\]):(\d{1,5})$/.exec(value);
  const good = match !== null && Number(match[2]) >= 1 && Number(match[2]) <= 65535;
  return good ? undefined : "be 127.0.0.1:PORT, [::1]:PORT, 0.0.0.0:PORT, [::]:PORT or unix:///PATH";
}

const ingress: Schema<IstioIngressListener> = message<IstioIngressListener>({
  port: required(port),
  bind: string((value) => isAddress(value) ? undefined : "be an IP address"),
  captureMode,
  defaultEndpoint: string(defaultEndpoint),
  tls: serverTls,
  connectionPool,
}, ({ tls, port, connectionPool }, cursor) => {
  if (!(port?.number ?? 1)) cursor.at("port", "number").error("must be from 1 to 65535 at an ingress");
  if (cursor.has("port") && !cursor.at("port").has("number")) cursor.at("port", "number").error("is required");
  if (connectionPool?.http !== undefined && !/^(HTTP2?|GRPC|GRPC-WEB|HTTP_PROXY)$/i.test(port?.protocol ?? "")) {
    cursor.at("connectionPool").atKey("http").warning("does nothing: the protocol of the port is not HTTP");
  }
  if (!cursor.has("tls")) return;
  const at = cursor.at("tls");
  if (!/^(HTTPS|TLS)$/i.test(port?.protocol ?? "")) cursor.atKey("tls").error("needs protocol HTTPS or TLS");
  if (tls === undefined) {
    // Its own problems are told: which mode was meant is not known.
  } else if (tls.mode !== "SIMPLE" && tls.mode !== "MUTUAL") {
    at.at("mode").error(`must be SIMPLE or MUTUAL at a Sidecar, found ${tls.mode ?? "PASSTHROUGH"}`);
  }
  for (const name of ["credentialName", "credentialNames", "caCertCredentialName", "tlsCertificates"]) {
    if (at.has(name)) at.atKey(name).error("is for gateways: name files at a Sidecar");
  }
  for (const name of ["httpsRedirect", "subjectAltNames"]) {
    if (at.has(name)) at.atKey(name).error("is for gateways: remove it");
  }
});

const egress: Schema<IstioEgressListener> = message<IstioEgressListener>({
  port,
  bind: string((value) =>
    isAddress(value) || /^unix:\/\/(\/|@)./.test(value) ? undefined : "be an IP address or unix:///PATH"
  ),
  captureMode,
  hosts: required(list(string(egressHost), { minimum: 1 })),
}, ({ hosts, captureMode, port, bind }, cursor) => {
  const socket = bind?.startsWith("unix:") ?? false;
  if (cursor.has("port") && socket !== !port?.number) {
    cursor.at("port", "number").error(socket ? "must be left out beside a Unix socket" : "must be from 1 to 65535");
  }
  if (socket && captureMode === "IPTABLES") cursor.at("captureMode").error("cannot be IPTABLES for a Unix socket");
  if (!cursor.has("port")) {
    if (cursor.has("bind")) cursor.atKey("bind").error("needs a port");
    else if (captureMode === "NONE") {
      cursor.atKey("captureMode").warning("NONE without a port is accepted but not in force in this version");
    }
  }
  if ((hosts?.length ?? 0) > 1 && hosts?.includes("*/*")) {
    cursor.at("hosts").warning("names */*, which is everything already");
  }
  hosts?.forEach((host, index) => {
    if (hosts.indexOf(host) < index) cursor.at("hosts", index).warning(`names ${quote(host)} twice`);
  });
});

export const sidecar: Schema<SidecarSpec> = message<SidecarSpec>({
  workloadSelector: networkingSelector,
  ingress: list(ingress),
  egress: list(egress),
  inboundConnectionPool: connectionPool,
  outboundTrafficPolicy: message<NonNullable<SidecarSpec["outboundTrafficPolicy"]>>({
    mode: enumeration("REGISTRY_ONLY", "ALLOW_ANY"),
    egressProxy: destination,
  }, ({ mode, egressProxy }, cursor) => {
    if (!cursor.has("egressProxy")) return;
    if (mode !== "ALLOW_ANY") cursor.atKey("egressProxy").error("goes with mode ALLOW_ANY alone");
    if (egressProxy !== undefined && egressProxy.port?.number === undefined) {
      cursor.at("egressProxy", "port").error("is required");
    }
  }),
}, (spec, cursor) => {
  if (cursor.has("workloadSelector") && Object.keys(spec.workloadSelector?.labels ?? {}).length === 0) {
    cursor.atKey("workloadSelector").warning("selects by no label: every workload of the namespace is meant");
  }
  const content = ["ingress", "egress", "inboundConnectionPool", "outboundTrafficPolicy"];
  if (!content.some((name) => cursor.has(name))) cursor.error(`must set one of ${content.join(", ")}`);
  refuseSharedPorts(spec.ingress ?? [], cursor.at("ingress"));
  const listeners = spec.egress ?? [];
  refuseSharedPorts(listeners, cursor.at("egress"));
  const inferred = listeners.findIndex(({ port }) => port === undefined);
  if (inferred >= 0 && inferred < listeners.length - 1) {
    cursor.at("egress", inferred).error("is the listener without a port: there is one at most, and it comes last");
  }
});

function refuseSharedPorts(listeners: readonly { port?: SidecarPort; bind?: string }[], cursor: Cursor): void {
  const taken = new Set<string>();
  listeners.forEach(({ port, bind = "" }, index) => {
    const socket = bind.startsWith("unix:");
    if (!port?.number && !socket) return;
    const place = socket ? bind : `${cursor.path.endsWith("ingress") ? "" : bind} ${port?.number}`;
    if (taken.has(place)) {
      const at = socket ? cursor.at(index, "bind") : cursor.at(index, "port", "number");
      at.error(`${socket ? bind : port?.number} is what an earlier listener has`);
    }
    taken.add(place);
  });
}
