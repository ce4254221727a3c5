/** Listeners for TCP services: local applications reach each under an address of its own. */
import { create } from "@bufbuild/protobuf";
import { TrafficDirection } from "../xds/gen/envoy/config/core/v3/base_pb.ts";
import { type Listener, ListenerSchema } from "../xds/gen/envoy/config/listener/v3/listener_pb.ts";
import { clusterName } from "../xds/names.ts";
import { inRange } from "./address_range.ts";
import { socketAddress } from "./inbound.ts";
import type { MeshIndex } from "./mesh_index.ts";
import { isHttp } from "./protocol.ts";
import { tcpProxy } from "./tcp_proxy.ts";

/**
 * One listener for each TCP port of each service that the namespace sees, on the service's addresses within the agent's
 * range. Of two services with one address and port the first by hostname keeps it.
 */
export function tcpListeners(index: MeshIndex, namespace: string, vipRange: string): Map<string, Listener> {
  const listeners = new Map<string, Listener>();
  for (const service of index.view(namespace).services) {
    // Such a host is reached by the address the caller dialled: there is nothing to balance over.
    if (service.resolution === "NONE") continue;
    const addresses = service.addresses.filter((address) => inRange(address, vipRange));
    const ports = service.ports.filter(({ protocol }) => !isHttp(protocol));
    for (const address of addresses) {
      for (const { number } of ports) {
        // Istio's name of such a listener.
        const name = `${address}_${number}`;
        if (listeners.has(name)) continue;
        const cluster = clusterName("outbound", number, "", service.hostname);
        listeners.set(
          name,
          create(ListenerSchema, {
            name,
            address: socketAddress(address, number),
            trafficDirection: TrafficDirection.OUTBOUND,
            filterChains: [{ filters: [tcpProxy(cluster, index.mesh.settings)] }],
          }),
        );
      }
    }
  }
  return listeners;
}
