/** What becomes of traffic to hosts that a client does not know. */
import { resolveHost } from "../../istio/host.ts";
import type { MeshSettings } from "../../mesh.ts";
import { clusterName } from "../../xds/names.ts";
import type { Client } from "../destination_rules.ts";
import type { MeshIndex } from "../mesh_index.ts";

export interface UnknownTraffic {
  mode: MeshSettings["outboundTrafficPolicy"];
  /** Name of the cluster that gets it under ALLOW_ANY; absent: it goes where it wants to. */
  egressProxy?: string;
}

/** As the client's Sidecar says, else the mesh. */
export function outboundTrafficPolicy(index: MeshIndex, client: Client): UnknownTraffic {
  const sidecar = index.sidecars.of(client);
  const policy = sidecar?.spec.outboundTrafficPolicy;
  if (sidecar === undefined || policy === undefined) return { mode: index.mesh.settings.outboundTrafficPolicy };
  const { mode = "REGISTRY_ONLY", egressProxy } = policy;
  if (egressProxy === undefined || mode !== "ALLOW_ANY") return { mode };
  const hostname = resolveHost(egressProxy.host, sidecar.metadata.namespace, index.mesh.settings.domain).toLowerCase();
  const { port, subset = "" } = egressProxy;
  return { mode, egressProxy: clusterName("outbound", port?.number ?? 0, subset, hostname) };
}
