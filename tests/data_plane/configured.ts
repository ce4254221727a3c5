/** Proxies configured as in production: from Envoy's JSON, or from mesh.yaml and Istio's resources. */
import type { JsonObject } from "@bufbuild/protobuf";
import type { EndpointsConfig } from "../../agent/config/model.ts";
import { translateCluster } from "../../agent/config/translate/cluster.ts";
import { translateEndpoints } from "../../agent/config/translate/endpoints.ts";
import { translateListener } from "../../agent/config/translate/listener.ts";
import { translateRouteConfiguration } from "../../agent/config/translate/route.ts";
import { message } from "../../agent/config/translate/testdata/envoy_json.ts";
import { compileEndpoints } from "../../routing/compile/endpoints.ts";
import type { Mesh } from "../../routing/mesh.ts";
import { compileProxy } from "../../routing/compile/proxy.ts";
import { endpoint as meshEndpoint, mesh, node, service } from "../../routing/compile/testing/mesh.ts";
import { parseMeshConfig } from "../../routing/istio/mesh_config.ts";
import { ListenerSchema } from "../../routing/xds/gen/envoy/config/listener/v3/listener_pb.ts";
import type { WorkloadNode } from "../../routing/xds/node.ts";
import { cluster, endpoint, endpoints, freePort, type ProxySetup } from "./harness.ts";

const types = "type.googleapis.com/envoy.extensions.filters";
/** The `@type` of an HTTP filter's message. */
export const httpFilterType = (name: string) => `${types}.http.${name}`;
const router = (fields: JsonObject) => ({
  name: "envoy.filters.http.router",
  typedConfig: { "@type": httpFilterType("router.v3.Router"), ...fields },
});

/** A route of everything to the cluster `backend`. */
export const toBackend: JsonObject = { match: { prefix: "/" }, route: { cluster: "backend" } };

/**
 * A listener with this connection manager on a free port, before clusters of these names.
 *
 * @param manager its fields in Envoy's JSON; without `httpFilters` it has the router alone, whose
 *   fields are `router`
 * @param routes of its one virtual host
 */
export function managerSetup(
  manager: JsonObject,
  routes: JsonObject[],
  clusters: Record<string, number[]>,
  virtualHost: JsonObject = {},
): { port: number; setup: ProxySetup } {
  const port = freePort();
  const { httpFilters = [], router: ofRouter = {}, ...fields } = manager;
  const { listener, inlineRoutes } = translateListener(message(ListenerSchema, {
    name: "l",
    address: { socketAddress: { address: "127.0.0.1", portValue: port } },
    filterChains: [{
      filters: [{
        name: "manager",
        typedConfig: {
          "@type": `${types}.network.http_connection_manager.v3.HttpConnectionManager`,
          routeConfig: { virtualHosts: [{ name: "all", domains: ["*"], routes, ...virtualHost }] },
          httpFilters: [...httpFilters as JsonObject[], router(ofRouter as JsonObject)],
          ...fields,
        },
      }],
    }],
  }));
  const names = Object.keys(clusters);
  return {
    port,
    setup: {
      clusters: names.map((name) => cluster({ name })),
      endpoints: names.map((name) => endpoints(name, clusters[name].map((each) => endpoint(each)))),
      routes: inlineRoutes,
      listeners: [listener],
    },
  };
}

/**
 * A workload's proxy port in a mesh of services `NAME.default`, each with one plaintext endpoint.
 *
 * @param rules VirtualServices and DestinationRules
 * @param meshYaml text of mesh.yaml
 */
export function meshSetup(
  rules: string,
  backends: Record<string, number>,
  meshYaml = "",
): { port: number; setup: ProxySetup } {
  const port = freePort();
  const services = Object.entries(backends).map(([name, backend]) =>
    service(name, {
      endpoints: [
        meshEndpoint(`${name}-v1`, { address: "127.0.0.1", ports: { 9080: backend }, tlsMode: "disabled" }),
      ],
    })
  );
  const { settings, problems } = parseMeshConfig("mesh.yaml", meshYaml);
  if (problems.length > 0) throw new Error(problems[0].message);
  const compiled = mesh(services, rules, settings);
  const client = node({ service: "", ports: [], httpProxy: { address: "127.0.0.1", port } });
  return { port, setup: workloadSetup(compiled, client) };
}

/** All that the control plane would send to a workload of the mesh. */
export function workloadSetup(mesh: Mesh, node: WorkloadNode): ProxySetup {
  const snapshot = compileProxy(mesh, node);
  const clusters = [...snapshot.clusters.values()].map(translateCluster);
  const listeners = [...snapshot.listeners.values()].map(translateListener);
  return {
    proxy: node.workload,
    clusters: clusters.map(({ cluster }) => ({ ...cluster, slot: 0 })),
    endpoints: [
      ...clusters.flatMap(({ endpoints }) => endpoints === null ? [] : [withSlots(endpoints)]),
      ...snapshot.endpoints.map((name) => withSlots(translateEndpoints(compileEndpoints(mesh, name), name))),
    ],
    routes: [
      ...[...snapshot.routes.values()].map(translateRouteConfiguration),
      ...listeners.flatMap(({ inlineRoutes }) => inlineRoutes),
    ],
    listeners: listeners.map(({ listener }) => listener),
  };
}

/** Places that the threads' owner gives anew. */
function withSlots(list: ReturnType<typeof translateEndpoints>): EndpointsConfig {
  const localities = list.localities.map((locality) => ({
    ...locality,
    endpoints: locality.endpoints.map((each) => ({ ...each, slot: 0 })),
  }));
  return { ...list, localities };
}
