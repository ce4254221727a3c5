/** Where TCP and TLS routes send connections. */
import type { RouteDestination } from "../istio/types.ts";
import type { Filter } from "../xds/gen/envoy/config/listener/v3/listener_components_pb.ts";
import { clusterName } from "../xds/names.ts";
import type { Client } from "./destination_rules.ts";
import type { MeshIndex } from "./mesh_index.ts";
import { proxySettings } from "./telemetry/proxy_settings.ts";
import { weightedTcpProxy } from "./tcp_proxy.ts";
import { type EffectivePolicy, effectivePolicy } from "./traffic_policy.ts";

export interface L4Context {
  index: MeshIndex;
  client: Client;
  /** Of the listener: the port of destinations that name none and have several. */
  port: number;
  /** The registry's name for a destination's host. */
  hostname(host: string): string;
  /** `place`: `[0].destination.host`, below the list of destinations. */
  warn(place: string, message: string): void;
}

/** As in Istio the first destination's, and its subset's where it is the only one. */
function policyOf(route: readonly RouteDestination[], { index, client, port, hostname }: L4Context): EffectivePolicy {
  const [{ destination }] = route;
  const service = index.service(hostname(destination.host), client);
  if (service === undefined) return {};
  const { trafficPolicy, subsets } = index.rulesFor(service, client);
  const subset = route.length === 1 ? subsets.get(destination.subset ?? "")?.subset.trafficPolicy : undefined;
  return effectivePolicy(trafficPolicy, subset, destination.port?.number ?? port);
}

/** The TCP proxy to the destinations. To one that does not exist connections are closed. */
export function destinationsFilter(route: readonly RouteDestination[], context: L4Context): Filter {
  const { index, client, port } = context;
  const clusters = route.flatMap(({ destination, weight }, place) => {
    // A weight of 0 among several destinations means none of the connections.
    if (route.length > 1 && !weight) return [];
    const hostname = context.hostname(destination.host);
    const service = index.service(hostname, client);
    const target = destination.port?.number ?? (service?.ports.length === 1 ? service.ports[0].number : port);
    const subset = destination.subset ?? "";
    const at = `[${place}].destination`;
    if (service === undefined) {
      const seen = `is visible in namespace ${client.namespace}`;
      context.warn(`${at}.host`, `no service ${JSON.stringify(hostname)} ${seen}`);
    } else if (!service.ports.some(({ number }) => number === target)) {
      context.warn(`${at}.port`, `service ${hostname} has no port ${target}`);
    } else if (subset !== "" && !index.rulesFor(service, client).subsets.has(subset)) {
      context.warn(`${at}.subset`, `no DestinationRule for ${hostname} defines subset ${JSON.stringify(subset)}`);
    }
    return [{ name: clusterName("outbound", target, subset, hostname), weight: weight || 1 }];
  });
  const settings = proxySettings(index.mesh, client, "CLIENT");
  return weightedTcpProxy(clusters, clusters[0].name, settings, policyOf(route, context));
}
