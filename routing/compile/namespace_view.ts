/** What of the registry a client sees. */
import type { VirtualService } from "../istio/types.ts";
import type { Service } from "../mesh.ts";
import { covering } from "./host_table.ts";

/** What workloads of one namespace see; where a Sidecar is for them, what it leaves them of it. */
export interface NamespaceView {
  namespace: string;
  /** In the order of hostnames. */
  services: readonly Service[];
  byHostname: ReadonlyMap<string, Service>;
  /** Hostnames, and every wildcard that covers one of them. */
  covered: ReadonlySet<string>;
  /** What narrows the view; absent: nothing does. */
  scope?: ViewScope;
}

export interface ViewScope {
  /** Unlike that of any other scope in the namespace. */
  name: string;
  /** Whether the VirtualService is seen. */
  imports(virtualService: VirtualService): boolean;
}

/** @param services in the order of hostnames */
export function viewOfServices(namespace: string, services: readonly Service[], scope?: ViewScope): NamespaceView {
  const covered = new Set<string>();
  for (const service of services) {
    for (const host of covering(service.hostname.toLowerCase())) covered.add(host);
  }
  const byHostname = new Map(services.map((service) => [service.hostname, service]));
  return { namespace, services, byHostname, covered, ...(scope === undefined ? {} : { scope }) };
}
