/** What the mesh consists of right now, from resources and registrations, as the input of compilation. */
import { DefaultVisibility } from "./default_visibility.ts";
import { logger } from "../../log/log.ts";
import type {
  AuthorizationPolicy,
  PeerAuthentication,
  RequestAuthentication,
} from "../../routing/istio/security_types.ts";
import type { Sidecar } from "../../routing/istio/sidecar_types.ts";
import type { DestinationRule, Gateway, Resource, ServiceEntry, VirtualService } from "../../routing/istio/types.ts";
import type { Mesh, MeshSettings, Service } from "../../routing/mesh.ts";
import { withMembers } from "./members.ts";
import { type Conflict, publishedHosts } from "./published_hosts.ts";
import type { RegisteredWorkload } from "./registered_workloads.ts";

const log = logger("registry");

export class Registry {
  readonly #settings: MeshSettings;
  readonly #visibility: DefaultVisibility;
  readonly #workloads: () => RegisteredWorkload[];
  #resources: Resource[] = [];
  #mesh: Mesh;
  #conflicts: Conflict[] = [];
  #texts = new Map<string, string>();
  #stale = true;

  /** @param workloads the registered ones of the moment */
  constructor(settings: MeshSettings, workloads: () => RegisteredWorkload[]) {
    this.#settings = settings;
    this.#visibility = new DefaultVisibility(settings.defaultExportTo);
    this.#workloads = workloads;
    this.#mesh = { settings, services: new Map(), virtualServices: [], destinationRules: [], gateways: [] };
  }

  setResources(resources: Resource[]): void {
    this.#resources = resources.map((resource) => this.#visibility.of(resource));
    this.#stale = true;
  }

  /** To be called when the workloads have changed. */
  invalidate(): void {
    this.#stale = true;
  }

  /**
   * The mesh as it is now. What has not changed since the last time is the very same object: a service, a rule, or
   * all of it.
   */
  mesh(): Mesh {
    this.#refresh();
    return this.#mesh;
  }

  /** What is not in force as it asks to be. */
  conflicts(): Conflict[] {
    this.#refresh();
    return this.#conflicts;
  }

  #refresh(): void {
    if (!this.#stale) return;
    this.#stale = false;
    const { domain } = this.#settings;
    const published = publishedHosts(this.#resources, domain);
    const exportTo = this.#settings.defaultExportTo?.services ?? ["*"];
    const { services, conflicts } = withMembers(published.hosts, this.#workloads(), domain, exportTo);
    this.#report([...published.conflicts, ...conflicts]);
    const next: Mesh = {
      settings: this.#settings,
      services: this.#unchangedKept(services),
      virtualServices: this.#resources.filter(({ kind }) => kind === "VirtualService") as VirtualService[],
      destinationRules: this.#resources.filter(({ kind }) => kind === "DestinationRule") as DestinationRule[],
      gateways: this.#resources.filter(({ kind }) => kind === "Gateway") as Gateway[],
      sidecars: this.#ofKind<Sidecar>("Sidecar"),
      peerAuthentications: this.#ofKind<PeerAuthentication>("PeerAuthentication"),
      requestAuthentications: this.#ofKind<RequestAuthentication>("RequestAuthentication"),
      authorizationPolicies: this.#ofKind<AuthorizationPolicy>("AuthorizationPolicy"),
      serviceEntryHosts: new Map(
        this.#ofKind<ServiceEntry>("ServiceEntry").map(({ metadata, spec }) => [
          `${metadata.namespace}/${metadata.name}`,
          spec.hosts,
        ]),
      ),
    };
    if (!sameMesh(this.#mesh, next)) this.#mesh = next;
  }

  #ofKind<Kind extends Resource>(name: Kind["kind"]): Kind[] {
    return this.#resources.filter(({ kind }) => kind === name) as Kind[];
  }

  /** Services by hostname, in the order of hostnames; one that reads as before is the object of before. */
  #unchangedKept(services: Service[]): Map<string, Service> {
    const texts = new Map<string, string>();
    const kept = new Map<string, Service>();
    for (const service of services.sort((a, b) => a.hostname < b.hostname ? -1 : 1)) {
      const { hostname } = service;
      const text = JSON.stringify(service);
      const before = this.#mesh.services.get(hostname);
      texts.set(hostname, text);
      kept.set(hostname, before !== undefined && this.#texts.get(hostname) === text ? before : service);
    }
    this.#texts = texts;
    return kept;
  }

  #report(conflicts: Conflict[]): void {
    const known = new Set(this.#conflicts.map(describe));
    for (const conflict of conflicts) {
      if (!known.has(describe(conflict))) log.warn(describe(conflict));
    }
    this.#conflicts = conflicts;
  }
}

function describe({ kind, namespace, name, message }: Conflict): string {
  return `${kind}/${namespace}/${name}: ${message}`;
}

function sameMesh(one: Mesh, other: Mesh): boolean {
  return one.services.size === other.services.size &&
    sameItems(one.virtualServices, other.virtualServices) &&
    sameItems(one.destinationRules, other.destinationRules) &&
    sameItems(one.gateways, other.gateways) &&
    sameItems(one.sidecars ?? [], other.sidecars ?? []) &&
    sameItems(one.peerAuthentications ?? [], other.peerAuthentications ?? []) &&
    sameItems(one.requestAuthentications ?? [], other.requestAuthentications ?? []) &&
    sameItems(one.authorizationPolicies ?? [], other.authorizationPolicies ?? []) &&
    sameHosts(one.serviceEntryHosts ?? new Map(), other.serviceEntryHosts ?? new Map()) &&
    [...other.services].every(([hostname, service]) => one.services.get(hostname) === service);
}

function sameHosts(one: Map<string, readonly string[]>, other: Map<string, readonly string[]>): boolean {
  return one.size === other.size && [...one].every(([name, hosts]) => sameItems(hosts, other.get(name) ?? []));
}

function sameItems(one: readonly unknown[], other: readonly unknown[]): boolean {
  return one.length === other.length && one.every((item, index) => item === other[index]);
}
