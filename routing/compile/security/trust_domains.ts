/** Principals in policies, under every name that the mesh's trust domain has. */

/** What Istio takes for the mesh's own trust domain in policies, whatever that is called. */
const ownTrustDomain = "cluster.local";

/**
 * The principals with each of the mesh's trust domains in the place of one that means the mesh, as istiod expands them.
 *
 * @param trustDomains the mesh's own first, then its aliases
 */
export function withTrustDomainAliases(principals: readonly string[], trustDomains: readonly string[]): string[] {
  const expanded = new Set<string>();
  for (const principal of principals) {
    const [trustDomain, ...rest] = principal.split("/");
    const meansMesh = rest.length === 4 &&
      (trustDomain === ownTrustDomain || trustDomains.some((known) => fits(trustDomain, known)));
    if (!meansMesh) {
      expanded.add(principal);
      continue;
    }
    for (const known of trustDomains) {
      expanded.add(trustDomain.startsWith("*") && fits(trustDomain, known) ? principal : [known, ...rest].join("/"));
    }
  }
  return [...expanded];
}

/** `*suffix`, `prefix*`, `*`, or the text itself. */
function fits(pattern: string, text: string): boolean {
  if (pattern === "*") return true;
  if (pattern.startsWith("*")) return text.endsWith(pattern.slice(1));
  return pattern.endsWith("*") ? text.startsWith(pattern.slice(0, -1)) : pattern === text;
}
