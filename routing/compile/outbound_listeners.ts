/** Listeners for services on loopback addresses: local applications reach each under an address of its own. */
import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import type { Service, ServicePort } from "../mesh.ts";
import { TrafficDirection } from "../xds/gen/envoy/config/core/v3/base_pb.ts";
import { ListenerFilterSchema } from "../xds/gen/envoy/config/listener/v3/listener_components_pb.ts";
import { type Listener, ListenerSchema } from "../xds/gen/envoy/config/listener/v3/listener_pb.ts";
import { HttpInspectorSchema } from "../xds/gen/envoy/extensions/filters/listener/http_inspector/v3/http_inspector_pb.ts";
import { clusterName } from "../xds/names.ts";
import { packAny } from "../xds/resources.ts";
import type { Client } from "./destination_rules.ts";
import { outboundHttp } from "./http_connection_manager.ts";
import { socketAddress, tlsInspector } from "./inbound.ts";
import type { MeshIndex } from "./mesh_index.ts";
import type { NamespaceView } from "./namespace_view.ts";
import { HTTP_PROXY_ROUTES } from "./outbound_routes.ts";
import { isHttp } from "./protocol.ts";
import { withMetrics } from "./telemetry/listener_metrics.ts";
import { type ProxySettings, proxySettings } from "./telemetry/proxy_settings.ts";
import { tcpProxy } from "./tcp_proxy.ts";
import { virtualAddresses } from "./virtual_addresses.ts";

const httpInspector = create(ListenerFilterSchema, {
  name: "envoy.filters.listener.http_inspector",
  configType: { case: "typedConfig", value: packAny(HttpInspectorSchema, create(HttpInspectorSchema)) },
});

/** Istio waits for ever; here whoever waits for the server to speak first is served as TCP after this, milliseconds. */
const PROTOCOL_DETECTION_TIMEOUT = 5000;

export interface VirtualListenerOptions {
  /** Range of IPv4 addresses, `127.64.0.0/16`. */
  range: string;
  /** Ports below this one cannot be bound; 0: all can. */
  lowestPort: number;
}

/** By view, by settings, then by options: all clients that see alike share them. */
const ofViews = new WeakMap<NamespaceView, Map<ProxySettings, Map<string, ReadonlyMap<string, Listener>>>>();

/**
 * One listener for each port of each service that the client sees, on the service's addresses within the agent's
 * range. Of two services with one address and port the first by hostname keeps it.
 *
 * HTTP ports answer to whatever host a request names, as Istio's do; connections to others go to the service.
 */
export function virtualListeners(
  index: MeshIndex,
  client: Client,
  options: VirtualListenerOptions,
): ReadonlyMap<string, Listener> {
  const view = index.view(client);
  const settings = proxySettings(index.mesh, client, "CLIENT");
  let bySettings = ofViews.get(view);
  if (bySettings === undefined) ofViews.set(view, bySettings = new Map());
  let byOptions = bySettings.get(settings);
  if (byOptions === undefined) bySettings.set(settings, byOptions = new Map());
  const key = `${options.range} ${options.lowestPort}`;
  let listeners = byOptions.get(key);
  if (listeners === undefined) byOptions.set(key, listeners = compile(view, options, settings));
  return listeners;
}

function compile(
  { services }: NamespaceView,
  { range, lowestPort }: VirtualListenerOptions,
  settings: ProxySettings,
): Map<string, Listener> {
  const listeners = new Map<string, Listener>();
  const addresses = virtualAddresses(services, range);
  for (const service of services) {
    for (const address of addresses.get(service.hostname) ?? []) {
      for (const port of service.ports) {
        // Istio's name of such a listener.
        const name = `${address}_${port.number}`;
        if (port.number < lowestPort || listeners.has(name)) continue;
        listeners.set(name, listenerOf(name, address, service, port, settings));
      }
    }
  }
  return withMetrics(listeners, { CLIENT: settings, SERVER: settings });
}

/** By service, then by name: one that is compiled again for an unchanged service is the same message. */
const ofServices = new WeakMap<Service, WeakMap<ProxySettings, Map<string, Listener>>>();

function listenerOf(
  name: string,
  address: string,
  service: Service,
  port: ServicePort,
  settings: ProxySettings,
): Listener {
  let bySettings = ofServices.get(service);
  if (bySettings === undefined) ofServices.set(service, bySettings = new WeakMap());
  let byName = bySettings.get(settings);
  if (byName === undefined) bySettings.set(settings, byName = new Map());
  let listener = byName.get(name);
  if (listener === undefined) {
    const { hostname, name: short, namespace } = service;
    listener = create(ListenerSchema, {
      name,
      address: socketAddress(address, port.number),
      trafficDirection: TrafficDirection.OUTBOUND,
      ...chainsOf(service, port, settings),
      // By this the agent knows which name leads to the address.
      metadata: { filterMetadata: { istio: { services: [{ host: hostname, name: short, namespace }] } } },
    });
    byName.set(name, listener);
  }
  return listener;
}

/** Where nobody says what a port speaks, each connection does by how it begins: as istiod compiles such ports. */
function chainsOf({ hostname }: Service, { number, protocol }: ServicePort, settings: ProxySettings) {
  const tcp = () => tcpProxy(clusterName("outbound", number, "", hostname), settings);
  const http = () => outboundHttp(HTTP_PROXY_ROUTES, HTTP_PROXY_ROUTES, settings);
  if (protocol !== "UNSPECIFIED") return { filterChains: [{ filters: [isHttp(protocol) ? http() : tcp()] }] };
  const filterChainMatch = { transportProtocol: "raw_buffer", applicationProtocols: ["http/1.0", "http/1.1", "h2c"] };
  return {
    listenerFilters: [tlsInspector, httpInspector],
    listenerFiltersTimeout: durationFromMs(settings.protocolDetectionTimeout ?? PROTOCOL_DETECTION_TIMEOUT),
    continueOnListenerFiltersTimeout: true,
    filterChains: [{ name: "http", filterChainMatch, filters: [http()] }, { name: "tcp", filters: [tcp()] }],
  };
}
