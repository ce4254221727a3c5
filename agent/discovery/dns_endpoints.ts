/** Endpoints of the clusters whose names this agent resolves. */
import type { EndpointConfig, EndpointsConfig } from "../config/model.ts";
import type { DnsConfig } from "../config/name_resolution.ts";
import type { NameWatch, WatchOptions } from "../dns/watched_names.ts";

/** A cluster's endpoints, names among them. */
export interface DnsCluster {
  endpoints: EndpointsConfig;
  dns: DnsConfig;
}

/** What keeps names resolved. */
export interface NameSource {
  watch(name: string, options: WatchOptions, changed: () => void): NameWatch;
}

interface Entry {
  cluster: DnsCluster;
  watches: Map<string, NameWatch>;
  /** What the names amounted to when it was asked for last; `null`: something has changed since. */
  resolved: EndpointsConfig | null;
}

export class DnsEndpoints {
  readonly #names: NameSource;
  readonly #changed: () => void;
  readonly #entries = new Map<string, Entry>();

  /** @param changed called when the endpoints of some cluster have changed */
  constructor(names: NameSource, changed: () => void) {
    this.#names = names;
    this.#changed = changed;
  }

  /** From now on the names of these clusters are resolved, and no others. */
  set(clusters: ReadonlyMap<string, DnsCluster>): void {
    for (const [name, entry] of this.#entries) {
      if (clusters.get(name) === entry.cluster) continue;
      this.#entries.delete(name);
      // The new cluster may have the same names: they are let go once it watches them.
      const next = clusters.get(name);
      if (next !== undefined) this.#add(name, next);
      closeAll(entry);
    }
    for (const [name, cluster] of clusters) {
      if (!this.#entries.has(name)) this.#add(name, cluster);
    }
  }

  /** Whether every name of the cluster has been asked for, with or without success. */
  answered(name: string): boolean {
    const watches = this.#entries.get(name)?.watches.values() ?? [];
    return [...watches].every(({ addresses }) => addresses !== null);
  }

  /** The endpoints of each cluster as its names are resolved now; unchanged ones are the same object. */
  *endpoints(): Iterable<EndpointsConfig> {
    for (const entry of this.#entries.values()) yield entry.resolved ??= resolved(entry);
  }

  /** What was asked for each cluster, for statistics. */
  *watches(): Iterable<{ cluster: string; name: string; watch: NameWatch }> {
    for (const [cluster, { watches }] of this.#entries) {
      for (const [name, watch] of watches) yield { cluster, name, watch };
    }
  }

  close(): void {
    for (const entry of this.#entries.values()) closeAll(entry);
    this.#entries.clear();
  }

  #add(name: string, cluster: DnsCluster): void {
    const { logical: _, ...options } = cluster.dns;
    const entry: Entry = { cluster, watches: new Map(), resolved: null };
    this.#entries.set(name, entry);
    for (const { address, port } of endpointsOf(cluster.endpoints)) {
      if (port === 0 || entry.watches.has(address)) continue;
      const watch = this.#names.watch(address, options, () => {
        entry.resolved = null;
        this.#changed();
      });
      entry.watches.set(address, watch);
    }
  }
}

function closeAll({ watches }: Entry): void {
  for (const watch of watches.values()) watch.close();
}

function endpointsOf({ localities }: EndpointsConfig): EndpointConfig[] {
  return localities.flatMap(({ endpoints }) => endpoints);
}

/** STRICT_DNS has an endpoint for each address of a name, LOGICAL_DNS one for the first. */
function resolved({ cluster: { endpoints, dns }, watches }: Entry): EndpointsConfig {
  const localities = endpoints.localities.map((locality) => ({
    ...locality,
    endpoints: locality.endpoints.flatMap((endpoint): EndpointConfig[] => {
      const addresses = watches.get(endpoint.address)?.addresses ?? [];
      if (dns.logical) {
        return addresses.slice(0, 1).map((address) => ({ ...endpoint, address, logicalName: endpoint.address }));
      }
      return addresses.map((address) => ({ ...endpoint, address }));
    }),
  }));
  return { ...endpoints, localities };
}
