/** Listeners that a Sidecar's egress asks for by port and address. */
import { create } from "@bufbuild/protobuf";
import type { IstioEgressListener, Sidecar } from "../../istio/sidecar_types.ts";
import { TrafficDirection } from "../../xds/gen/envoy/config/core/v3/base_pb.ts";
import { type Listener, ListenerSchema } from "../../xds/gen/envoy/config/listener/v3/listener_pb.ts";
import type { RouteConfiguration } from "../../xds/gen/envoy/config/route/v3/route_pb.ts";
import { clusterName } from "../../xds/names.ts";
import type { Client } from "../destination_rules.ts";
import { outboundHttp } from "../http_connection_manager.ts";
import { socketAddress } from "../inbound.ts";
import type { MeshIndex } from "../mesh_index.ts";
import { compileOutboundRoutes } from "../outbound_routes.ts";
import { isHttp, portProtocol } from "../protocol.ts";
import { proxySettings } from "../telemetry/proxy_settings.ts";
import { tcpProxy } from "../tcp_proxy.ts";
import type { Warn } from "../warning.ts";
import { egressListenerView } from "./egress_view.ts";

const LOOPBACK = "127.0.0.1";

/**
 * One listener for each egress listener with a port and an address of its own, each with routes to its hosts alone. What
 * names none narrows what is seen elsewhere: on the HTTP proxy port and on services' loopback addresses.
 */
export function egressListeners(
  index: MeshIndex,
  client: Client,
  warn: Warn,
): { listeners: Listener[]; routes: RouteConfiguration[] } {
  const listeners: Listener[] = [];
  const routes: RouteConfiguration[] = [];
  const sidecar = index.sidecars.of(client);
  const settings = proxySettings(index.mesh, client, "CLIENT");
  sidecar?.spec.egress?.forEach((egress, place) => {
    const address = addressOf(egress);
    const port = egress.port?.number;
    if (address === undefined || port === undefined) return;
    const name = `${address}_${port}`;
    const protocol = portProtocol(egress.port?.name ?? "", egress.port?.protocol ?? "");
    const view = egressListenerView(
      `${sidecar.metadata.namespace}/${sidecar.metadata.name}[${place}]`,
      egress,
      index.viewSource(client.namespace),
    );
    const filter = () => {
      if (isHttp(protocol)) {
        routes.push(compileOutboundRoutes(index, client, warn, { name, view }));
        return outboundHttp(`outbound_${name}`, name, settings);
      }
      const [service, ...others] = view.services;
      const told = (message: string) => warnOf(sidecar, `egress[${place}].hosts`, message, warn);
      if (service === undefined) return told(`no service with port ${port}: there is no listener`);
      if (others.length > 0) {
        told(`several services have port ${port}: connections go to the first, ${service.hostname}`);
      }
      return tcpProxy(clusterName("outbound", port, "", service.hostname), settings);
    };
    const made = filter();
    if (made === undefined) return;
    listeners.push(create(ListenerSchema, {
      name,
      address: socketAddress(address, port),
      trafficDirection: TrafficDirection.OUTBOUND,
      filterChains: [{ filters: [made] }],
    }));
  });
  return { listeners, routes };
}

/** Where it listens; `undefined` where it says no address, or a Unix socket's. */
function addressOf({ bind, captureMode }: IstioEgressListener): string | undefined {
  if (bind !== undefined) return bind.startsWith("unix:") ? undefined : bind;
  return captureMode === "NONE" ? LOOPBACK : undefined;
}

function warnOf({ metadata }: Sidecar, field: string, message: string, warn: Warn): undefined {
  warn({ kind: "Sidecar", namespace: metadata.namespace, name: metadata.name, field, message });
}
