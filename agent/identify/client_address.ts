/** Where a request comes from, for rules on `remote_ip`: the connection's other end, or whom a trusted proxy names. */
import { isIP } from "node:net";
import type { DownstreamLink, DownstreamPeer } from "../downstream_stream.ts";

/** The IP address of a peer, without its port. */
export function peerAddress({ remoteAddress }: DownstreamPeer): string {
  return withoutPort(remoteAddress);
}

/** The IP address of `address:port`. */
export function withoutPort(address: string): string {
  return address.replace(/:\d+$/, "").replace(/^\[|\]$/g, "");
}

/**
 * As Envoy's `xff_num_trusted_hops` has it, but for this: where the connection manager is not at the edge, only a peer
 * with an identity of the mesh may name another address. Whoever else writes `x-forwarded-for` speaks for nobody.
 *
 * @param forwardedFor all values of `x-forwarded-for`
 */
export function clientAddress(link: DownstreamLink, forwardedFor: readonly string[]): string {
  const own = link.peerAddress;
  const { http } = link.chain.config;
  if (http === null || forwardedFor.length === 0) return own;
  const trustedHops = http.forwarding?.trustedHops ?? 0;
  if (http.useRemoteAddress ? trustedHops === 0 : link.peer.principal === "") return own;
  const addresses = forwardedFor.join(",").split(",").map((each) => each.trim());
  const named = addresses.at(-1 - (http.useRemoteAddress ? trustedHops - 1 : trustedHops));
  return named === undefined || isIP(named) === 0 ? own : named;
}
