/** Addresses on which this agent itself listens: traffic that somebody names the target of must not come back to it. */
import { isIPv6 } from "node:net";
import { inRange } from "../../routing/compile/address_range.ts";

/** Where something listens. */
export interface Listening {
  address: string;
  port: number;
}

/**
 * Whether a connection to this address would lead to one of the agent's listeners: their own addresses, any address of
 * this machine where they listen on all, and the addresses of services.
 *
 * @param vipRange the agent's loopback addresses for services
 * @param local the addresses of this machine's interfaces
 */
export function leadsToOurselves(
  address: string,
  port: number,
  { vipRange, local, listeners }: { vipRange: string; local: ReadonlySet<string>; listeners: Iterable<Listening> },
): boolean {
  if (isIPv6(address)) address = shortest(address);
  // To dial no address in particular is to dial this machine; an IPv4 address in IPv6's clothes is not looked into.
  if (isUnspecified(address) || address.startsWith("::ffff:")) return true;
  if (inRange(address, vipRange)) return true;
  const isLocal = address.startsWith("127.") || address === "::1" || local.has(address);
  for (const listener of listeners) {
    if (listener.port !== port) continue;
    if (listener.address === address || (isLocal && isUnspecified(listener.address))) return true;
  }
  return false;
}

/** Whether only this machine, or whoever is on the same link, is meant by the address: nothing that strangers may name. */
export function isLocalOnly(address: string): boolean {
  return inRange(address, "127.0.0.0/8") || inRange(address, "169.254.0.0/16") ||
    (isIPv6(address) && /^(::1$|fe[89ab])/.test(shortest(address)));
}

function isUnspecified(address: string): boolean {
  return address === "::" || address === "0.0.0.0";
}

/** The one spelling of an IPv6 address (RFC 5952). */
function shortest(address: string): string {
  return new URL(`http://[${address}]`).hostname.slice(1, -1);
}
