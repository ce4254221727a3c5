/** Resources by the host they name, found by the most specific match: the exact name, then ever wider wildcards. */

/** Keys are hosts in lower case, `*.example.com` and `*` among them; each keeps its items in the order they came. */
export class HostTable<Item> {
  readonly #items = new Map<string, Item[]>();

  /** How many hosts there are. */
  get size(): number {
    return this.#items.size;
  }

  /** Adds an item under a host. */
  add(host: string, item: Item): void {
    const items = this.#items.get(host);
    if (items === undefined) this.#items.set(host, [item]);
    else items.push(item);
  }

  /** The items under exactly this host. */
  at(host: string): readonly Item[] {
    return this.#items.get(host) ?? [];
  }

  /** Every host in the table, in the order of first appearance. */
  hosts(): Iterable<string> {
    return this.#items.keys();
  }

  /** The lists of items that cover the host, the most specific first. Costs as much as the host has labels. */
  *matches(host: string): Iterable<readonly Item[]> {
    if (this.#items.size === 0) return;
    for (const key of covering(host)) {
      const items = this.#items.get(key);
      if (items !== undefined) yield items;
    }
  }
}

/** The host itself and every wildcard that covers it: `a.b.c` gives `a.b.c`, `*.b.c`, `*.c`, `*`. */
export function* covering(host: string): Iterable<string> {
  yield host;
  for (let dot = host.indexOf("."); dot !== -1; dot = host.indexOf(".", dot + 1)) {
    if (dot === 1 && host.startsWith("*")) continue;
    yield `*${host.slice(dot)}`;
  }
  if (host !== "*") yield "*";
}
