/** The service that a workload belongs to. */
import { resolveHost } from "../istio/host.ts";
import type { Mesh } from "../mesh.ts";
import type { Client } from "./destination_rules.ts";

/**
 * The name under which callers know the service that the workload belongs to: of its namespace, or a ServiceEntry's
 * host where that namespace publishes one of this name. Empty: it belongs to none.
 */
export function workloadHostname(mesh: Mesh, { service = "", namespace }: Client): string {
  if (service === "") return "";
  const hostname = resolveHost(service, namespace, mesh.settings.domain);
  const entry = mesh.services.get(service);
  return !mesh.services.has(hostname) && entry?.namespace === namespace ? service : hostname;
}
