/**
 * What policies say of a caller's identity, compared with the parsed segments of its SPIFFE id: no text of a policy or
 * of a certificate ever becomes part of a regular expression that runs here.
 *
 * On the wire the pattern is the regular expression that a stock Envoy understands, with everything quoted; the agent
 * reads it back into segments.
 */

/** `spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/SERVICE-ACCOUNT`. */
export interface IdentitySegments {
  trustDomain: string;
  namespace: string;
  serviceAccount: string;
}

/** For each segment a text in which `*` stands for anything; `*` alone: whatever it is. */
export type IdentityPattern = IdentitySegments;

/** The segments of a SPIFFE id in Istio's form; `null`: it has another form. */
export function identitySegments(spiffeId: string): IdentitySegments | null {
  const parts = spiffeId.split("/");
  const [scheme, empty, trustDomain, ns, namespace, sa, serviceAccount] = parts;
  const right = parts.length === 7 && scheme === "spiffe:" && empty === "" && ns === "ns" && sa === "sa";
  return right && trustDomain !== "" && namespace !== "" && serviceAccount !== ""
    ? { trustDomain, namespace, serviceAccount }
    : null;
}

export function fitsIdentity(pattern: IdentityPattern, identity: IdentitySegments): boolean {
  return fitsSegment(pattern.trustDomain, identity.trustDomain) &&
    fitsSegment(pattern.namespace, identity.namespace) &&
    fitsSegment(pattern.serviceAccount, identity.serviceAccount);
}

/** Literal pieces in their order, the first at the start and the last at the end. */
function fitsSegment(pattern: string, text: string): boolean {
  const pieces = pattern.split("*");
  if (pieces.length === 1) return pattern === text;
  const first = pieces[0];
  const last = pieces[pieces.length - 1];
  if (text.length < first.length + last.length || !text.startsWith(first) || !text.endsWith(last)) return false;
  let position = first.length;
  for (const piece of pieces.slice(1, -1)) {
    const at = text.indexOf(piece, position);
    if (at < 0) return false;
    position = at + piece.length;
  }
  return position <= text.length - last.length;
}

const anything = "[^/]*";

/** The pattern as RE2, for the whole SPIFFE id. */
export function identityRegex({ trustDomain, namespace, serviceAccount }: IdentityPattern): string {
  const segment = (text: string) => text.split("*").map(quoted).join(anything);
  return `spiffe://${segment(trustDomain)}/ns/${segment(namespace)}/sa/${segment(serviceAccount)}`;
}

function quoted(text: string): string {
  return text.replaceAll(/[^A-Za-z0-9_-]/g, "\\$&");
}

/** The inverse of {@link identityRegex}; `null` for every other expression. */
export function identityOfRegex(regex: string): IdentityPattern | null {
  const scheme = "spiffe://";
  if (!regex.startsWith(scheme)) return null;
  const segments = [""];
  let rest = regex.slice(scheme.length);
  while (rest !== "") {
    const [token, escaped] = /^(?:\[\^\/\]\*|\\([^A-Za-z0-9])|[A-Za-z0-9_\/-])/.exec(rest) ?? [null];
    if (token === null || escaped === "*") return null;
    if (token === "/") segments.push("");
    else segments[segments.length - 1] += token === anything ? "*" : escaped ?? token;
    rest = rest.slice(token.length);
  }
  const [trustDomain, ns, namespace, sa, serviceAccount] = segments;
  return segments.length === 5 && ns === "ns" && sa === "sa" ? { trustDomain, namespace, serviceAccount } : null;
}
