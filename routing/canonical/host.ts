/** One spelling for each host: what of an authority counts when a virtual host is chosen and the request goes on. */

export interface HostRules {
  /** Envoy's `strip_trailing_host_dot`. */
  stripTrailingDot: boolean;
  /** The port that is left out: any (`strip_any_host_port`), this one (`strip_matching_host_port`), or none. */
  stripPort: "any" | "none" | number;
}

const COLON = 58;
const DOT = 46;
const BRACKET = 93;

/** Rewrites the authority from `start` to `end` in place; returns its new end. */
export function canonicalizeHost(bytes: Uint8Array, start: number, end: number, rules: HostRules): number {
  let colon = end - 1;
  while (colon >= start && bytes[colon] >= 48 && bytes[colon] <= 57) colon--;
  // A name may end in digits, and an IPv6 address in brackets has colons of its own.
  const hasPort = colon > start && bytes[colon] === COLON && colon + 1 < end;
  let nameEnd = hasPort ? colon : end;
  let stop = end;
  if (hasPort && (rules.stripPort === "any" || rules.stripPort === portOf(bytes, colon + 1, end))) stop = nameEnd;
  if (rules.stripTrailingDot && nameEnd - 1 > start && bytes[nameEnd - 1] === DOT) {
    bytes.copyWithin(nameEnd - 1, nameEnd, stop);
    nameEnd--;
    stop--;
  }
  return bytes[start] === 91 /* [ */ && bytes[nameEnd - 1] !== BRACKET ? end : stop;
}

function portOf(bytes: Uint8Array, start: number, end: number): number {
  let port = 0;
  for (let i = start; i < end; i++) port = port * 10 + bytes[i] - 48;
  return port;
}
