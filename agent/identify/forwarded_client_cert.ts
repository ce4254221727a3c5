/**
 * `x-forwarded-client-cert`: who the caller is, told to the application
 * (https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_conn_man/headers#x-forwarded-client-cert).
 */
import { createHash } from "node:crypto";
import type { ClientCertDetails, HttpConnectionManagerConfig } from "../config/model.ts";
import { ascii } from "../decode/characters.ts";
import type { Fields } from "../decode/head.ts";
import type { DownstreamLink } from "../downstream_stream.ts";
import { certificateNames } from "./certificate_names.ts";
import { certificateSubject } from "./certificate_subject.ts";
import { Known } from "../decode/known_headers.ts";

/** What Istio has its sidecars tell. Workload certificates have no DNS names. */
const istioDetails: ClientCertDetails = { subject: true, cert: false, chain: false, dns: true, uri: true };

/**
 * The element that speaks of one peer, its parts in Envoy's order.
 *
 * @param certificates the peer's own and those it sent along, DER
 */
export function clientCertElement(
  certificates: readonly Uint8Array[],
  ownPrincipal: string,
  details: ClientCertDetails = istioDetails,
): string {
  const [certificate] = certificates;
  const { uris, dnsNames } = certificateNames(certificate);
  const parts = [`By=${ownPrincipal}`, `Hash=${createHash("sha256").update(certificate).digest("hex")}`];
  if (details.cert) parts.push(`Cert="${encodedPem(certificate)}"`);
  if (details.chain) parts.push(`Chain="${certificates.map(encodedPem).join("")}"`);
  if (details.subject) parts.push(`Subject="${certificateSubject(certificate).replaceAll(/["\\]/g, "\\$&")}"`);
  if (details.uri) parts.push(...(uris.length === 0 ? ["URI="] : uris.map((uri) => `URI=${printable(uri)}`)));
  if (details.dns) parts.push(...dnsNames.map((name) => `DNS=${printable(name)}`));
  return parts.join(";");
}

/** A name that cannot end its part or the header: what it is made of, the peer's certificate authority decides. */
function printable(name: string): string {
  const text = name.replaceAll(
    /[^\x21-\x7e]/g,
    (c) => `%${c.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`,
  );
  return /[,;="]/.test(text) ? `"${text.replaceAll(/["\\]/g, "\\$&")}"` : text;
}

function encodedPem(certificate: Uint8Array): string {
  const lines = certificate.toBase64().replaceAll(/.{64}/g, "$&\n").trimEnd();
  return encodeURIComponent(`-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`);
}

/** The header line that goes to the application; `null` where it gets none, whatever the caller sent. */
export function forwardedClientCert(
  details: HttpConnectionManagerConfig["forwardClientCertDetails"],
  link: DownstreamLink,
  fields: Fields,
): Uint8Array | null {
  const { peer } = link;
  const received = fields.known(Known.forwardedClientCert) ?? "";
  if (details === "ALWAYS_FORWARD_ONLY") return received === "" ? null : line(received);
  // Without a client certificate nobody vouches for what the header says.
  if (details === "SANITIZE" || peer.clientCertElement === "") return null;
  if (details === "FORWARD_ONLY") return received === "" ? null : line(received);
  if (details === "APPEND_FORWARD" && received !== "") return line(`${received},${peer.clientCertElement}`);
  return link.clientCertLine ??= line(peer.clientCertElement);
}

function line(value: string): Uint8Array {
  return ascii(`x-forwarded-client-cert: ${value}\r\n`);
}
