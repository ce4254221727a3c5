/**
 * `x-forwarded-client-cert`: who the caller is, told to the application
 * (https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_conn_man/headers#x-forwarded-client-cert).
 */
import { createHash } from "node:crypto";
import type { HttpConnectionManagerConfig } from "../config/model.ts";
import { ascii } from "../decode/characters.ts";
import type { RequestHead } from "../decode/head.ts";
import type { DownstreamPeer } from "../downstream_stream.ts";
import { Known } from "../decode/known_headers.ts";

const lines = new WeakMap<DownstreamPeer, Uint8Array>();

/** The element that speaks of one peer, as Istio's sidecars write it. */
export function clientCertElement(certificate: Uint8Array, ownPrincipal: string, peerPrincipal: string): string {
  const hash = createHash("sha256").update(certificate).digest("hex");
  return `By=${ownPrincipal};Hash=${hash};Subject="";URI=${peerPrincipal}`;
}

/** The header line that goes to the application; `null` where it gets none, whatever the caller sent. */
export function forwardedClientCert(
  details: HttpConnectionManagerConfig["forwardClientCertDetails"],
  peer: DownstreamPeer,
  head: RequestHead,
): Uint8Array | null {
  const received = head.fields.has(Known.forwardedClientCert) ? head.fields.known(Known.forwardedClientCert)! : "";
  if (details === "ALWAYS_FORWARD_ONLY") return received === "" ? null : line(received);
  // Without a client certificate nobody vouches for what the header says.
  if (details === "SANITIZE" || peer.clientCertElement === "") return null;
  if (details === "FORWARD_ONLY") return received === "" ? null : line(received);
  if (details === "APPEND_FORWARD" && received !== "") return line(`${received},${peer.clientCertElement}`);
  let own = lines.get(peer);
  if (own === undefined) lines.set(peer, own = line(peer.clientCertElement));
  return own;
}

function line(value: string): Uint8Array {
  return ascii(`x-forwarded-client-cert: ${value}\r\n`);
}
