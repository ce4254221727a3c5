/** Hosts that resources publish: `v1/Service` and ServiceEntry, and which of two that publish one host is in force. */
import type { KubernetesService, Resource, ServiceEntry, WorkloadEntry } from "../../routing/istio/types.ts";
import { portProtocol } from "../../routing/compile/protocol.ts";
import type { Endpoint, Service } from "../../routing/mesh.ts";
import { type DialledPort, entryEndpoint, EntryIndex, selectedEndpoints } from "./endpoints.ts";

/** A resource or a registration that is not in force as it asks to be. */
export interface Conflict {
  kind: string;
  namespace: string;
  name: string;
  message: string;
}

/** A host with what registrations need to know to join it. */
export interface PublishedHost {
  service: Service;
  /** Labels that members must have; empty: those who name it are members. */
  selector: Record<string, string>;
  publisher: { kind: string; namespace: string; name: string };
}

/** The hosts of all resources, by hostname, without registrations. */
export function publishedHosts(
  resources: Resource[],
  domain: string,
): { hosts: Map<string, PublishedHost>; conflicts: Conflict[] } {
  const entries = new EntryIndex(resources.filter(({ kind }) => kind === "WorkloadEntry") as WorkloadEntry[]);
  const candidates = [
    ...byPrecedence(resources, "Service").map((service) => fromService(service as KubernetesService, domain, entries)),
    ...byPrecedence(resources, "ServiceEntry").flatMap((entry) => fromServiceEntry(entry as ServiceEntry, entries)),
  ];
  const hosts = new Map<string, PublishedHost>();
  const conflicts: Conflict[] = [];
  for (const candidate of candidates) {
    const { service: { hostname, namespace }, publisher } = candidate;
    const owner = ownerOf(hostname, domain);
    const first = hosts.get(hostname);
    if (owner !== null && owner !== namespace) {
      const message = `${hostname} belongs to namespace ${owner}: only resources of that namespace publish it`;
      conflicts.push({ ...publisher, message });
    } else if (first !== undefined) {
      const { kind, namespace, name } = first.publisher;
      conflicts.push({ ...publisher, message: `${hostname} is published by ${kind} ${namespace}/${name} already` });
    } else {
      hosts.set(hostname, candidate);
    }
  }
  return { hosts, conflicts };
}

function fromService(service: KubernetesService, domain: string, entries: EntryIndex): PublishedHost {
  const { metadata: { name, namespace, annotations }, spec } = service;
  const ports = (spec.ports ?? []).filter(({ protocol }) => protocol === undefined || protocol === "TCP");
  const dialled: DialledPort[] = ports.map((port) => ({
    name: port.name ?? "",
    number: port.port,
    target: port.targetPort ?? port.port,
  }));
  const selector = spec.selector ?? {};
  return {
    selector,
    publisher: { kind: "Service", namespace, name },
    service: {
      hostname: `${name}.${namespace}.svc.${domain}`,
      name,
      namespace,
      ports: ports.map((port) => ({
        name: port.name ?? "",
        number: port.port,
        protocol: portProtocol(port.name ?? "", appProtocol(port.appProtocol)),
      })),
      location: "MESH_INTERNAL",
      resolution: "STATIC",
      addresses: [],
      exportTo: exportTo(annotations["networking.istio.io/exportTo"]?.split(",").map((part) => part.trim())),
      subjectAltNames: [],
      endpoints: selectedEndpoints(entries, namespace, selector, dialled),
    },
  };
}

function fromServiceEntry({ metadata, spec }: ServiceEntry, entries: EntryIndex): PublishedHost[] {
  const { namespace, name } = metadata;
  const ports = (spec.ports ?? []).filter(({ protocol }) => protocol?.toUpperCase() !== "UDP");
  const dialled: DialledPort[] = ports.map((port) => ({ ...port, target: port.targetPort ?? port.number }));
  const selector = spec.workloadSelector?.labels ?? {};
  const resolution = spec.resolution ?? "NONE";
  const endpoints = entryEndpoints({ metadata, spec }, entries, dialled);
  return [...new Set(spec.hosts.map((host) => host.toLowerCase()))].map((hostname) => ({
    selector,
    publisher: { kind: "ServiceEntry", namespace, name },
    service: {
      hostname,
      name: hostname,
      namespace,
      ports: ports.map((port) => ({
        name: port.name,
        number: port.number,
        protocol: portProtocol(port.name, port.protocol ?? ""),
      })),
      location: spec.location ?? "MESH_EXTERNAL",
      resolution,
      addresses: spec.addresses ?? [],
      exportTo: exportTo(spec.exportTo),
      subjectAltNames: spec.subjectAltNames ?? [],
      endpoints: endpoints ??
        [entryEndpoint({ address: hostname }, metadata, dialled, "name")].filter((endpoint) => endpoint !== null),
    },
  }));
}

/** The endpoints that a ServiceEntry names or selects; `null`: its hosts themselves are resolved. */
function entryEndpoints(
  { metadata, spec }: Pick<ServiceEntry, "metadata" | "spec">,
  entries: EntryIndex,
  dialled: DialledPort[],
): Endpoint[] | null {
  const { resolution = "NONE", endpoints, workloadSelector } = spec;
  // Without resolution there is nothing to balance over: traffic goes where the caller sent it.
  if (resolution === "NONE" || resolution === "DYNAMIC_DNS") return [];
  const kind = resolution === "STATIC" ? "address" : "name";
  if (kind === "name" && (endpoints ?? []).length === 0 && workloadSelector === undefined) return null;
  return [
    ...(endpoints ?? []).map((endpoint) => entryEndpoint(endpoint, metadata, dialled, kind))
      .filter((endpoint) => endpoint !== null),
    ...selectedEndpoints(entries, metadata.namespace, workloadSelector?.labels ?? {}, dialled, kind),
  ];
}

/** Kubernetes' names of application protocols beside IANA's. */
function appProtocol(name = ""): string {
  return name === "kubernetes.io/h2c" ? "http2" : name;
}

function exportTo(namespaces: string[] | undefined): string[] {
  const named = (namespaces ?? []).filter((namespace) => namespace !== "");
  return named.length > 0 ? named : ["*"];
}

/** The namespace that a host's own name puts it in: `reviews.default.svc.cluster.local` is of `default`. */
function ownerOf(hostname: string, domain: string): string | null {
  const suffix = `.svc.${domain}`;
  return hostname.endsWith(suffix) ? hostname.slice(0, -suffix.length).split(".").at(-1)! : null;
}

/** The oldest first, as in Istio; of files, which have no time, by namespace and name. */
function byPrecedence(resources: Resource[], kind: string): Resource[] {
  const created = ({ metadata }: Resource) => metadata.creationTimestamp ?? "";
  const named = ({ metadata }: Resource) => `${metadata.namespace}/${metadata.name}`;
  return resources.filter((resource) => resource.kind === kind)
    .sort((a, b) => compare(created(a), created(b)) || compare(named(a), named(b)));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
