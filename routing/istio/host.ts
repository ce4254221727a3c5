/** Host names in resources: short names made whole, wildcards compared. */

/**
 * The registry's name for a host that a rule names: `reviews` in namespace `default` is
 * `reviews.default.svc.cluster.local`.
 *
 * As Istio's ResolveShortnameToFQDN has it: only names without a dot are short; wildcards and IP addresses stay.
 */
export function resolveHost(host: string, namespace: string, domain: string): string {
  if (host === "" || host.includes(".") || host.includes("*") || host.includes(":")) return host;
  return namespace === "" ? host : `${host}.${namespace}.svc.${domain}`;
}

/**
 * Whether two names can mean the same host: equal, or one's wildcard covers the other (Istio's host.Name.Matches).
 * `*` covers all, `*.example.com` every name that ends in `.example.com`. Both are in lower case.
 */
export function hostMatches(one: string, other: string): boolean {
  const oneWild = one.startsWith("*");
  const otherWild = other.startsWith("*");
  if (!oneWild && !otherWild) return one === other;
  if (oneWild && otherWild) {
    return one.length < other.length ? other.endsWith(one.slice(1)) : one.endsWith(other.slice(1));
  }
  return oneWild ? other.endsWith(one.slice(1)) : one.endsWith(other.slice(1));
}

/** Whether every name that the one means is meant by the other too (Istio's host.Name.SubsetOf). Lower case. */
export function subsetOf(one: string, other: string): boolean {
  if (!other.startsWith("*")) return one === other;
  return one.startsWith("*")
    ? one.length >= other.length && one.endsWith(other.slice(1))
    : one.endsWith(other.slice(1));
}
