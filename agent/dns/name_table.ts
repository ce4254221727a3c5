/** The names of the mesh that this agent answers, and the loopback addresses that they lead to. */

/** A listener on an address of its own for a service. */
export interface NamedListener {
  address: string;
  /** Hostname of the service; absent: the listener is for none. */
  service?: string;
}

/** Names in lower case without a final dot. */
export type NameTable = ReadonlyMap<string, readonly string[]>;

/**
 * The table of one workload: every service by its hostname (`*.example.com` among them), and those of the mesh by their
 * short names too, `reviews` for workloads of its own namespace alone. A service's own name goes before a short one.
 *
 * @param unbound addresses that lead nowhere
 */
export function nameTable(
  listeners: Iterable<NamedListener>,
  namespace: string,
  unbound: ReadonlySet<string> = new Set(),
): NameTable {
  const hosts = new Map<string, string[]>();
  for (const { address, service } of listeners) {
    if (service === undefined || unbound.has(address)) continue;
    const host = service.toLowerCase();
    const addresses = hosts.get(host);
    if (addresses === undefined) hosts.set(host, [address]);
    else if (!addresses.includes(address)) addresses.push(address);
  }
  const table = new Map(hosts);
  for (const [host, addresses] of hosts) {
    for (const name of shortNames(host, namespace)) if (!table.has(name)) table.set(name, addresses);
  }
  return table;
}

/** Addresses of a name, by itself or by the longest wildcard that covers it; `null`: it is none of the mesh. */
export function addressesOf(table: NameTable, name: string): readonly string[] | null {
  const host = name.toLowerCase().replace(/\.$/, "");
  const exact = table.get(host);
  if (exact !== undefined) return exact;
  for (let dot = host.indexOf("."); dot !== -1; dot = host.indexOf(".", dot + 1)) {
    const addresses = table.get(`*${host.slice(dot)}`);
    if (addresses !== undefined) return addresses;
  }
  return null;
}

/** `reviews.default.svc`, `reviews.default` and, in namespace `default`, `reviews`. */
function shortNames(host: string, namespace: string): string[] {
  const parts = /^([^.*]+)\.([^.]+)\.svc\./.exec(host);
  if (parts === null) return [];
  const [, name, of] = parts;
  return [...(of === namespace ? [name] : []), `${name}.${of}`, `${name}.${of}.svc`];
}
