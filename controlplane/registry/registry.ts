/** What the mesh consists of right now, from resources and registrations, as the input of compilation. */
import { DefaultVisibility } from "./default_visibility.ts";
import { logger } from "../../log/log.ts";
import type {
  AuthorizationPolicy,
  PeerAuthentication,
  RequestAuthentication,
} from "../../routing/istio/security_types.ts";
import type { Sidecar } from "../../routing/istio/sidecar_types.ts";
import type { Telemetry } from "../../routing/istio/telemetry_types.ts";
import type { DestinationRule, Gateway, Resource, ServiceEntry, VirtualService } from "../../routing/istio/types.ts";
import type { Mesh, MeshSettings, Service } from "../../routing/mesh.ts";
import { Members } from "./members.ts";
import { type Conflict, type PublishedHost, publishedHosts } from "./published_hosts.ts";
import type { RegisteredWorkload } from "./registered_workloads.ts";

const log = logger("registry");

export class Registry {
  readonly #settings: MeshSettings;
  readonly #visibility: DefaultVisibility;
  readonly #workloads: () => RegisteredWorkload[];
  readonly #members: Members;
  #published: { hosts: Map<string, PublishedHost>; conflicts: Conflict[] } = { hosts: new Map(), conflicts: [] };
  #ofResources = ofResources([]);
  #mesh: Mesh;
  #conflicts: Conflict[] = [];
  #texts = new Map<string, string>();
  #stale = true;

  /** @param workloads the registered ones of the moment */
  constructor(settings: MeshSettings, workloads: () => RegisteredWorkload[]) {
    this.#settings = settings;
    this.#visibility = new DefaultVisibility(settings.defaultExportTo);
    this.#workloads = workloads;
    this.#members = new Members(settings.domain, settings.defaultExportTo?.services);
    this.#mesh = { settings, services: new Map(), ...this.#ofResources };
  }

  setResources(resources: Resource[]): void {
    const shown = resources.map((resource) => this.#visibility.of(resource));
    const { hosts, conflicts } = publishedHosts(shown, this.#settings.domain);
    this.#published = { hosts: this.#unchangedKept(hosts), conflicts };
    this.#ofResources = ofResources(shown);
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
    const { services, conflicts } = this.#members.of(this.#published.hosts, this.#workloads());
    this.#report([...this.#published.conflicts, ...conflicts]);
    const byHostname: [string, Service][] = [...services].sort(([one], [other]) => one < other ? -1 : 1);
    const next: Mesh = { settings: this.#settings, services: new Map(byHostname), ...this.#ofResources };
    if (!sameMesh(this.#mesh, next)) this.#mesh = next;
  }

  /** A host that reads as before is the object of before. */
  #unchangedKept(hosts: Map<string, PublishedHost>): Map<string, PublishedHost> {
    const texts = new Map<string, string>();
    const kept = new Map<string, PublishedHost>();
    for (const [hostname, host] of hosts) {
      const text = JSON.stringify(host);
      const before = this.#published.hosts.get(hostname);
      texts.set(hostname, text);
      kept.set(hostname, before !== undefined && this.#texts.get(hostname) === text ? before : host);
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

/** The part of a mesh that registrations do not change. */
function ofResources(resources: Resource[]): Omit<Mesh, "settings" | "services"> {
  const byKind = Map.groupBy(resources, ({ kind }) => kind);
  const ofKind = <Kind extends Resource>(name: Kind["kind"]) => (byKind.get(name) ?? []) as Kind[];
  return {
    virtualServices: ofKind<VirtualService>("VirtualService"),
    destinationRules: ofKind<DestinationRule>("DestinationRule"),
    gateways: ofKind<Gateway>("Gateway"),
    sidecars: ofKind<Sidecar>("Sidecar"),
    telemetries: ofKind<Telemetry>("Telemetry"),
    peerAuthentications: ofKind<PeerAuthentication>("PeerAuthentication"),
    requestAuthentications: ofKind<RequestAuthentication>("RequestAuthentication"),
    authorizationPolicies: ofKind<AuthorizationPolicy>("AuthorizationPolicy"),
    serviceEntryHosts: new Map(
      ofKind<ServiceEntry>("ServiceEntry").map(({ metadata, spec }) => [
        `${metadata.namespace}/${metadata.name}`,
        spec.hosts,
      ]),
    ),
  };
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
    sameItems(one.telemetries ?? [], other.telemetries ?? []) &&
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
