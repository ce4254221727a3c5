/** Gateway, by the rules of Istio's validator and of its resource definition. */
import { atMostOne, list, message, required } from "../../yaml/collections.ts";
import type { Cursor } from "../../yaml/cursor.ts";
import { quote } from "../../yaml/node.ts";
import { boolean, enumeration, nonEmpty, type Schema, string } from "../../yaml/schema.ts";
import type { GatewayServer, GatewaySpec, ServerTLSSettings } from "../types.ts";
import { isAddress, istioLabel, labels, portNumber, wildcardHost } from "./names.ts";
import { protocol } from "./protocol.ts";

const withoutTls = ["HTTP", "HTTP_PROXY", "GRPC", "GRPC-WEB", "HTTP2"];

/** Those that Istio knows; another is left out, with a warning. */
export const cipherSuites: readonly string[] = [
  "ECDHE-ECDSA-AES128-GCM-SHA256",
  "ECDHE-RSA-AES128-GCM-SHA256",
  "ECDHE-ECDSA-AES256-GCM-SHA384",
  "ECDHE-RSA-AES256-GCM-SHA384",
  "ECDHE-ECDSA-CHACHA20-POLY1305",
  "ECDHE-RSA-CHACHA20-POLY1305",
  "ECDHE-ECDSA-AES128-SHA",
  "ECDHE-RSA-AES128-SHA",
  "ECDHE-ECDSA-AES256-SHA",
  "ECDHE-RSA-AES256-SHA",
  "AES128-GCM-SHA256",
  "AES256-GCM-SHA384",
  "AES128-SHA",
  "AES256-SHA",
  "DES-CBC3-SHA",
];

/** A text rule: a host, perhaps behind a namespace, `.` or `*` and a slash. */
function serverHost(value: string): string | undefined {
  const slash = value.indexOf("/");
  if (slash < 0) return fullHost(value);
  const namespace = value.slice(0, slash);
  const good = namespace === "*" || namespace === "." || istioLabel(namespace) === undefined;
  return good ? fullHost(value.slice(slash + 1)) : "begin with a namespace, . or * before the slash";
}

/** A text rule: whole name, `*`, `*.` and a name, or IP address. */
export function fullHost(value: string): string | undefined {
  if (value === "*" || isAddress(value)) return undefined;
  if (/^\*[^.]/.test(value)) return "have * as a whole label: *.example.com";
  if (!value.includes(".")) return "be a whole name, not a short one";
  return wildcardHost(value);
}

const tlsVersion = enumeration("TLS_AUTO", "TLSV1_0", "TLSV1_1", "TLSV1_2", "TLSV1_3");
const credentials = ["credentialName", "credentialNames", "tlsCertificates"];
const someCredentials = { minimum: 1, maximum: 2 };

const certificate = message<{ serverCertificate?: string; privateKey?: string; caCertificates?: string }>({
  serverCertificate: string(),
  privateKey: string(),
  caCertificates: string(),
}, (_, cursor) => {
  for (const name of ["serverCertificate", "privateKey"]) if (!cursor.has(name)) cursor.at(name).error("is required");
});

/** What a server does about TLS, at a gateway and at a Sidecar's ingress. */
export const serverTls: Schema<ServerTLSSettings> = message<ServerTLSSettings>({
  httpsRedirect: boolean,
  mode: enumeration("PASSTHROUGH", "SIMPLE", "MUTUAL", "AUTO_PASSTHROUGH", "ISTIO_MUTUAL", "OPTIONAL_MUTUAL"),
  serverCertificate: string(),
  privateKey: string(),
  caCertificates: string(),
  caCrl: string(),
  credentialName: string(),
  credentialNames: list(string(nonEmpty), someCredentials),
  caCertCredentialName: string(),
  tlsCertificates: list(certificate, someCredentials),
  subjectAltNames: list(string(nonEmpty)),
  verifyCertificateSpki: list(string(nonEmpty)),
  verifyCertificateHash: list(string(nonEmpty)),
  minProtocolVersion: tlsVersion,
  maxProtocolVersion: tlsVersion,
  cipherSuites: list(string()),
  insecureSkipVerify: boolean,
}, (tls, cursor) => {
  atMostOne(cursor, ...credentials);
  warnOfCiphers(tls.cipherSuites ?? [], cursor);
  const { mode = "PASSTHROUGH" } = tls;
  if (mode === "ISTIO_MUTUAL") refuseCertificates(cursor);
  else if (cursor.has("serverCertificate") && cursor.has("privateKey")) {
    const other = credentials.find((name) => cursor.has(name));
    if (other !== undefined) cursor.atKey(other).error("cannot stand beside serverCertificate and privateKey");
  }
  if (mode === "PASSTHROUGH" || mode === "AUTO_PASSTHROUGH") {
    for (const name of [...credentials, ...files].filter((name) => cursor.has(name))) {
      cursor.atKey(name).warning(`is ignored with mode ${mode}, which ends no TLS`);
    }
  }
  checkRevocationList(mode, cursor);
  if (mode === "SIMPLE" || mode === "MUTUAL" || mode === "OPTIONAL_MUTUAL") requireCertificates(mode, cursor);
});

const files = ["serverCertificate", "privateKey", "caCertificates", "caCrl"];

function checkRevocationList(mode: string, cursor: Cursor): void {
  if (!cursor.has("caCrl") || mode === "ISTIO_MUTUAL") return;
  const secret = cursor.has("credentialName") || cursor.has("credentialNames");
  if (secret && !mode.includes("PASSTHROUGH")) {
    cursor.atKey("caCrl").warning("is ignored beside a credential, which brings its own");
  } else if (mode === "SIMPLE" || cursor.has("credentialName")) {
    cursor.atKey("caCrl").error("goes with caCertificates of MUTUAL and OPTIONAL_MUTUAL");
  }
}

const certificateFields = ["serverCertificate", "privateKey", "caCertificates", "credentialName", "credentialNames"];

function refuseCertificates(cursor: Cursor): void {
  for (const name of [...certificateFields, "tlsCertificates"].filter((name) => cursor.has(name))) {
    cursor.atKey(name).error("ISTIO_MUTUAL uses the mesh's own certificates: remove it");
  }
}

function requireCertificates(mode: string, cursor: Cursor): void {
  if (credentials.slice(0, 2).some((name) => cursor.has(name))) return;
  const needed = cursor.has("tlsCertificates") ? [] : ["serverCertificate", "privateKey"];
  if (mode !== "SIMPLE") needed.push("caCertificates");
  for (const name of needed.filter((name) => !cursor.has(name))) {
    cursor.at(name).error(`is required with ${mode}, unless credentialName names a secret`);
  }
}

function warnOfCiphers(names: string[], cursor: Cursor): void {
  names.forEach((name, index) => {
    const at = cursor.at("cipherSuites", index);
    // ALL and expressions such as -SHA are BoringSSL's to read.
    if (name === "ALL" || !/^[A-Za-z0-9]/.test(name)) return;
    if (!cipherSuites.includes(name)) at.warning(`${quote(name)} is not known and left out`);
    else if (names.indexOf(name) < index) at.warning(`names ${quote(name)} twice`);
  });
}

const server: Schema<GatewayServer> = message<GatewayServer>({
  port: required(message<GatewayServer["port"]>({
    number: required(portNumber),
    protocol: required(string(protocol)),
    name: required(string(nonEmpty)),
    targetPort: portNumber,
  }, (_, cursor) => {
    if (cursor.has("targetPort")) cursor.atKey("targetPort").error("has no meaning at a gateway: remove it");
  })),
  bind: string((value) => isAddress(value) || value.startsWith("unix://") ? undefined : "be an IP address"),
  hosts: required(list(string(serverHost), { minimum: 1 })),
  tls: serverTls,
  defaultEndpoint: string(),
  name: string(),
}, (value, cursor) => {
  const protocol = value.port?.protocol?.toUpperCase();
  if (protocol === undefined) return;
  if ((protocol === "HTTPS" || protocol === "TLS") && !cursor.has("tls")) {
    cursor.at("tls").error(`is required with protocol ${protocol}`);
  } else if (withoutTls.includes(protocol) && cursor.has("tls")) {
    const { mode = "PASSTHROUGH" } = value.tls ?? {};
    const held = files.slice(0, 3).some((name) => cursor.at("tls").has(name));
    if (held || !mode.endsWith("PASSTHROUGH")) {
      cursor.atKey("tls").error(`may only say httpsRedirect with protocol ${protocol}: use HTTPS or TLS`);
    }
  } else if (protocol !== "HTTPS" && protocol !== "TLS" && cursor.has("tls")) {
    cursor.atKey("tls").error(`cannot stand beside protocol ${protocol}: use TLS`);
  }
  if (value.tls?.httpsRedirect && !withoutTls.includes(protocol)) {
    cursor.at("tls").atKey("httpsRedirect").warning(`does nothing with protocol ${protocol}: it is for plain HTTP`);
  }
});

export const gateway: Schema<GatewaySpec> = message<GatewaySpec>({
  servers: required(list(server, { minimum: 1 })),
  selector: labels,
}, ({ servers = [] }, cursor) => {
  const ports = new Set<string>();
  const names = new Set<string>();
  servers.forEach(({ port, name }, index) => {
    const at = cursor.at("servers", index);
    if (ports.has(port.name)) {
      at.at("port", "name").error(`${quote(port.name)} is the name of an earlier server's port`);
    }
    if (name && names.has(name)) at.at("name").error(`${quote(name)} is the name of an earlier server`);
    ports.add(port.name);
    if (name) names.add(name);
  });
});
