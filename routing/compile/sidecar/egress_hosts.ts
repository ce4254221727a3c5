/** What the hosts of an egress listener, `namespace/dnsName`, let through. */

interface HostPattern {
  /** `*`: any. */
  namespace: string;
  /** In lower case; may begin with `*`. */
  host: string;
}

export class EgressHosts {
  readonly #included: HostPattern[] = [];
  readonly #excluded: HostPattern[] = [];

  /** @param own namespace that `.` stands for: the workload's, also in a Sidecar of the root namespace */
  constructor(hosts: readonly string[], own: string) {
    for (const text of hosts) {
      const slash = text.indexOf("/");
      const excludes = slash > 1 && text.startsWith("~");
      const namespace = text.slice(excludes ? 1 : 0, slash);
      const pattern = { namespace: namespace === "." ? own : namespace, host: text.slice(slash + 1).toLowerCase() };
      (excludes ? this.#excluded : this.#included).push(pattern);
    }
  }

  /** Whether a service of the namespace is let through. */
  includes(namespace: string, hostname: string): boolean {
    const host = hostname.toLowerCase();
    return this.#some(this.#included, namespace, (pattern) => covers(pattern, host)) &&
      !this.#some(this.#excluded, namespace, (pattern) => covers(pattern, host));
  }

  /** Whether a rule of the namespace for this host, which may be a wildcard, says something of what is let through. */
  concerns(namespace: string, hostname: string): boolean {
    const host = hostname.toLowerCase();
    return this.#some(this.#included, namespace, (pattern) => covers(pattern, host) || covers(host, pattern)) &&
      !this.#some(this.#excluded, namespace, (pattern) => covers(pattern, host));
  }

  #some(patterns: readonly HostPattern[], namespace: string, matches: (host: string) => boolean): boolean {
    return patterns.some((pattern) =>
      (pattern.namespace === "*" || pattern.namespace === namespace) && matches(pattern.host)
    );
  }
}

/** Whether every host of the second pattern is one of the first: `*.b` covers `a.b`, `*.a.b` and itself. */
function covers(pattern: string, host: string): boolean {
  return pattern === host || (pattern.startsWith("*") && host.endsWith(pattern.slice(1)));
}
