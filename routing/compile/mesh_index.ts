/** Lookups over one mesh, made once per mesh object: a mesh is never changed, a change makes a new one. */
import type { Gateway, Metadata } from "../istio/types.ts";
import type { Mesh, Service } from "../mesh.ts";
import { type Client, DestinationRuleIndex, type RuleSet } from "./destination_rules.ts";
import { covering } from "./host_table.ts";
import { VirtualServiceIndex } from "./virtual_services.ts";
import { exportedTo } from "./visibility.ts";

/** What of the registry one namespace sees. */
export interface NamespaceView {
  namespace: string;
  /** By hostname. */
  services: readonly Service[];
  /** Hostnames, and every wildcard that covers one of them. */
  covered: ReadonlySet<string>;
}

/** The lookups; see {@link meshIndex}. */
export class MeshIndex {
  readonly mesh: Mesh;
  readonly destinationRules: DestinationRuleIndex;
  readonly virtualServices: VirtualServiceIndex;
  /** In order of precedence. */
  readonly gateways: readonly Gateway[];
  readonly #services: readonly Service[];
  readonly #views = new Map<string, NamespaceView>();

  constructor(mesh: Mesh) {
    this.mesh = mesh;
    this.#services = [...mesh.services.values()].sort((one, other) => compareText(one.hostname, other.hostname));
    this.destinationRules = new DestinationRuleIndex(mesh, [...mesh.destinationRules].sort(byPrecedence));
    this.virtualServices = new VirtualServiceIndex(mesh, [...mesh.virtualServices].sort(byPrecedence));
    this.gateways = [...mesh.gateways].sort(byPrecedence);
  }

  /** What workloads of a namespace see. */
  view(namespace: string): NamespaceView {
    let view = this.#views.get(namespace);
    if (view === undefined) {
      const services = this.#services.filter((service) => isVisible(service, namespace));
      const covered = new Set<string>();
      for (const service of services) {
        for (const host of covering(service.hostname.toLowerCase())) covered.add(host);
      }
      view = { namespace, services, covered };
      this.#views.set(namespace, view);
    }
    return view;
  }

  /** The service of this hostname, if workloads of the namespace see it. */
  service(hostname: string, namespace: string): Service | undefined {
    const service = this.mesh.services.get(hostname);
    return service !== undefined && isVisible(service, namespace) ? service : undefined;
  }

  /** The DestinationRules that the client follows towards the service. */
  rulesFor(service: Service, client: Client): RuleSet {
    return this.destinationRules.rulesFor(service, client);
  }
}

const indexes = new WeakMap<Mesh, MeshIndex>();

/** The index of a mesh, made when first asked for. */
export function meshIndex(mesh: Mesh): MeshIndex {
  let index = indexes.get(mesh);
  if (index === undefined) indexes.set(mesh, index = new MeshIndex(mesh));
  return index;
}

function isVisible(service: Service, namespace: string): boolean {
  return exportedTo(service.exportTo, service.namespace, namespace);
}

/** Oldest first, then by namespace and name; those without a time, read from files, before those with one. */
function byPrecedence(one: { metadata: Metadata }, other: { metadata: Metadata }): number {
  return created(one.metadata) - created(other.metadata) ||
    compareText(one.metadata.namespace, other.metadata.namespace) ||
    compareText(one.metadata.name, other.metadata.name);
}

function created(metadata: Metadata): number {
  const time = metadata.creationTimestamp === undefined ? NaN : Date.parse(metadata.creationTimestamp);
  return Number.isNaN(time) ? 0 : time;
}

function compareText(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}
