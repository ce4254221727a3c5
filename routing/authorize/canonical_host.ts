/** The one spelling of a host in which rules meet it. */

/** Lower case, without port and without the dot at the end. */
export function canonicalHost(authority: string): string {
  const colon = authority.lastIndexOf(":");
  const hasPort = colon > authority.lastIndexOf("]") && /^\d*$/.test(authority.slice(colon + 1));
  const host = hasPort && colon > 0 ? authority.slice(0, colon) : authority;
  return (host.endsWith(".") ? host.slice(0, -1) : host).toLowerCase();
}
