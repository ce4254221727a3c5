/** What of a namespace's view a Sidecar leaves to its workloads. */
import { resolveHost } from "../../istio/host.ts";
import type { IstioEgressListener, Sidecar } from "../../istio/sidecar_types.ts";
import type { Destination, VirtualService } from "../../istio/types.ts";
import type { Service } from "../../mesh.ts";
import { type NamespaceView, viewOfServices } from "../namespace_view.ts";
import { EgressHosts } from "./egress_hosts.ts";

/** What the views are made from. */
export interface ViewSource {
  /** What the namespace sees without the Sidecar. */
  whole: NamespaceView;
  /** VirtualServices for workloads that are visible in the namespace. */
  virtualServices: readonly VirtualService[];
  /** Suffix of service names. */
  domain: string;
}

/** Numbers of the ports that are seen of each service, by hostname. */
type SeenPorts = Map<string, Set<number>>;

/** The view of the Sidecar's workloads: all that its egress listeners let through. */
export function sidecarView({ spec, metadata }: Sidecar, source: ViewSource): NamespaceView {
  const listeners = spec.egress ?? [];
  const hosts = listeners.map((listener) => new EgressHosts(listener.hosts, source.whole.namespace));
  const seen: SeenPorts = new Map();
  listeners.forEach((listener, index) => see(seen, listener, hosts[index], source));
  return viewOf(`${metadata.namespace}/${metadata.name}`, seen, source, hosts);
}

/** The view of one of its egress listeners. */
export function egressListenerView(name: string, listener: IstioEgressListener, source: ViewSource): NamespaceView {
  const hosts = new EgressHosts(listener.hosts, source.whole.namespace);
  const seen: SeenPorts = new Map();
  see(seen, listener, hosts, source);
  return viewOf(name, seen, source, [hosts]);
}

function viewOf(name: string, seen: SeenPorts, source: ViewSource, hosts: readonly EgressHosts[]): NamespaceView {
  const services = source.whole.services.flatMap((service) => {
    const ports = seen.get(service.hostname);
    return ports === undefined ? [] : [narrowed(service, ports)];
  });
  const { domain, whole: { namespace } } = source;
  return viewOfServices(namespace, services, {
    name,
    imports: (virtualService) => hosts.some((each) => imports(each, virtualService, domain)),
  });
}

/** The listener's services, and as in Istio those that its VirtualServices lead to. */
function see(seen: SeenPorts, listener: IstioEgressListener, hosts: EgressHosts, source: ViewSource): void {
  const add = (service: Service, wanted: number | undefined) => {
    const ports = service.ports.filter(({ number }) => wanted === undefined || number === wanted);
    if (ports.length === 0) return;
    const known = seen.get(service.hostname) ?? new Set();
    for (const { number } of ports) known.add(number);
    seen.set(service.hostname, known);
  };
  for (const service of source.whole.services) {
    if (hosts.includes(service.namespace, service.hostname)) add(service, listener.port?.number);
  }
  for (const virtualService of source.virtualServices) {
    if (!imports(hosts, virtualService, source.domain)) continue;
    for (const { host, port } of destinationsOf(virtualService)) {
      const hostname = resolveHost(host, virtualService.metadata.namespace, source.domain).toLowerCase();
      const service = source.whole.byHostname.get(hostname);
      if (service !== undefined) add(service, port?.number);
    }
  }
}

function imports(hosts: EgressHosts, { spec, metadata }: VirtualService, domain: string): boolean {
  return (spec.hosts ?? []).some((host) =>
    hosts.concerns(metadata.namespace, resolveHost(host, metadata.namespace, domain))
  );
}

function destinationsOf({ spec }: VirtualService): Destination[] {
  const http = (spec.http ?? []).flatMap(({ route = [], mirror, mirrors = [] }) => [
    ...route.map(({ destination }) => destination),
    ...(mirror === undefined ? [] : [mirror]),
    ...mirrors.map(({ destination }) => destination),
  ]);
  const layer4 = [...(spec.tls ?? []), ...(spec.tcp ?? [])].flatMap(({ route }) => route);
  return [...http, ...layer4.map(({ destination }) => destination)];
}

const narrowedServices = new WeakMap<Service, Map<string, Service>>();

/** The service with these ports alone: the same object each time, and the service itself where they are all. */
function narrowed(service: Service, ports: ReadonlySet<number>): Service {
  const kept = service.ports.filter(({ number }) => ports.has(number));
  if (kept.length === service.ports.length) return service;
  let known = narrowedServices.get(service);
  if (known === undefined) narrowedServices.set(service, known = new Map());
  const key = kept.map(({ number }) => number).join(",");
  let narrow = known.get(key);
  if (narrow === undefined) known.set(key, narrow = { ...service, ports: kept });
  return narrow;
}
