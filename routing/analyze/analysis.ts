/** The resources of a mesh, as analysers look them up. */
import { exportedTo } from "../compile/visibility.ts";
import { hostMatches, resolveHost } from "../istio/host.ts";
import type { DestinationRule, Resource, VirtualService } from "../istio/types.ts";
import type { Service } from "../mesh.ts";

export interface AnalysisInput {
  resources: Resource[];
  /** By hostname: those of resources and, where a control plane was asked, of registered workloads. */
  services: ReadonlyMap<string, Service>;
  /** Whether the services include what agents registered: what is missing is missing then. */
  complete: boolean;
  /** Suffix of service names, `cluster.local` by default. */
  domain: string;
  rootNamespace: string;
}

export class Analysis {
  readonly virtualServices: VirtualService[];
  readonly destinationRules: DestinationRule[];

  constructor(readonly input: AnalysisInput) {
    this.virtualServices = this.of("VirtualService") as VirtualService[];
    this.destinationRules = this.of("DestinationRule") as DestinationRule[];
  }

  of(kind: string): Resource[] {
    return this.input.resources.filter((resource) => resource.kind === kind);
  }

  hostname(host: string, namespace: string): string {
    return resolveHost(host.toLowerCase(), namespace, this.input.domain);
  }

  /** Services that a host, perhaps with a wildcard, written in a namespace means and that the namespace sees. */
  services(host: string, namespace: string): Service[] {
    const hostname = this.hostname(host, namespace);
    const exact = this.input.services.get(hostname);
    if (exact !== undefined) return exportedTo(exact.exportTo, exact.namespace, namespace) ? [exact] : [];
    return [...this.input.services.values()].filter((service) =>
      (hostname.startsWith("*") || service.hostname.startsWith("*")) && hostMatches(hostname, service.hostname) &&
      exportedTo(service.exportTo, service.namespace, namespace)
    );
  }
}

/** `default/ingress` of a gateway's name as a VirtualService of the namespace writes it. */
export function gatewayKey(name: string, namespace: string): string {
  return name.includes("/") ? name : `${namespace}/${name}`;
}

export function keyOf({ metadata }: Resource): string {
  return `${metadata.namespace}/${metadata.name}`;
}

/** The gateways that a VirtualService is bound to, `mesh` among them where it is bound to sidecars. */
export function gatewaysOf({ spec, metadata }: VirtualService): string[] {
  const names = spec.gateways === undefined || spec.gateways.length === 0 ? ["mesh"] : spec.gateways;
  return names.map((name) => name === "mesh" ? name : gatewayKey(name, metadata.namespace));
}
