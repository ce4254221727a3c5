/** Lookups over one mesh, made once per mesh object: a mesh is never changed, a change makes a new one. */
import type { Gateway, Metadata } from "../istio/types.ts";
import type { Mesh, Service } from "../mesh.ts";
import { type Client, DestinationRuleIndex, type RuleSet } from "./destination_rules.ts";
import { type NamespaceView, viewOfServices } from "./namespace_view.ts";
import { sidecarView, type ViewSource } from "./sidecar/egress_view.ts";
import { SidecarIndex } from "./sidecar/sidecar_index.ts";
import { VirtualServiceIndex } from "./virtual_services.ts";
import { exportedTo } from "./visibility.ts";

/** The lookups; see {@link meshIndex}. */
export class MeshIndex {
  readonly mesh: Mesh;
  readonly destinationRules: DestinationRuleIndex;
  readonly virtualServices: VirtualServiceIndex;
  readonly sidecars: SidecarIndex;
  /** In order of precedence. */
  readonly gateways: readonly Gateway[];
  readonly #services: readonly Service[];
  readonly #views = new Map<string, NamespaceView>();
  readonly #sidecarViews = new Map<string, NamespaceView>();
  readonly #clientViews = new WeakMap<Client, NamespaceView>();

  constructor(mesh: Mesh) {
    this.mesh = mesh;
    this.#services = [...mesh.services.values()].sort((one, other) => compareText(one.hostname, other.hostname));
    this.destinationRules = new DestinationRuleIndex(mesh, [...mesh.destinationRules].sort(byPrecedence));
    this.virtualServices = new VirtualServiceIndex(mesh, [...mesh.virtualServices].sort(byPrecedence));
    this.sidecars = new SidecarIndex([...mesh.sidecars ?? []].sort(byPrecedence), mesh.settings.rootNamespace);
    this.gateways = [...mesh.gateways].sort(byPrecedence);
  }

  /** What the client sees: of what its namespace sees, what its Sidecar lets through. Shared by clients that see alike. */
  view(client: Client): NamespaceView {
    let view = this.#clientViews.get(client);
    if (view === undefined) this.#clientViews.set(client, view = this.#viewOf(client));
    return view;
  }

  #viewOf(client: Client): NamespaceView {
    const { namespace } = client;
    const sidecar = this.sidecars.of(client);
    if (sidecar?.spec.egress === undefined) return this.#namespaceView(namespace);
    const key = `${namespace} ${sidecar.metadata.namespace}/${sidecar.metadata.name}`;
    let view = this.#sidecarViews.get(key);
    if (view === undefined) this.#sidecarViews.set(key, view = sidecarView(sidecar, this.viewSource(namespace)));
    return view;
  }

  /** What views that a Sidecar narrows are made from. */
  viewSource(namespace: string): ViewSource {
    return {
      whole: this.#namespaceView(namespace),
      virtualServices: this.virtualServices.forWorkloads(namespace),
      domain: this.mesh.settings.domain,
    };
  }

  #namespaceView(namespace: string): NamespaceView {
    let view = this.#views.get(namespace);
    if (view === undefined) {
      const services = this.#services.filter((service) => isVisible(service, namespace));
      this.#views.set(namespace, view = viewOfServices(namespace, services));
    }
    return view;
  }

  /** The service of this hostname, if the client sees it. */
  service(hostname: string, client: Client): Service | undefined {
    return this.view(client).byHostname.get(hostname);
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
