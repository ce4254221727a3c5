import { deepStrictEqual, notStrictEqual, ok, strictEqual } from "node:assert/strict";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import type { HTTPMatchRequest, TrafficPolicy } from "../istio/types.ts";
import type { Protocol, Service } from "../mesh.ts";
import { ClusterSchema } from "../xds/gen/envoy/config/cluster/v3/cluster_pb.ts";
import { ClusterLoadAssignmentSchema } from "../xds/gen/envoy/config/endpoint/v3/endpoint_pb.ts";
import { ListenerSchema } from "../xds/gen/envoy/config/listener/v3/listener_pb.ts";
import { RouteConfigurationSchema } from "../xds/gen/envoy/config/route/v3/route_pb.ts";
import { encodeResource } from "../xds/resources.ts";
import { compileEndpoints } from "./endpoints.ts";
import { compileProxy, type ProxySnapshot } from "./proxy.ts";
import { bookinfo, endpoint, json, mesh, node, resources, service } from "./testing/mesh.ts";

const rules = resources(`
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: reviews }
spec: { host: reviews, subsets: [ { name: v1, labels: { version: v1 } }, { name: v2, labels: { version: v2 } } ] }
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: reviews }
spec: { hosts: [reviews], http: [ { route: [ { destination: { host: reviews, subset: v1 } } ] } ] }
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: ratings }
spec: { hosts: [ratings], http: [ { route: [ { destination: { host: details } } ] } ] }
`);

/** Virtual hosts of the proxy port by name. */
function virtualHosts(snapshot: ProxySnapshot) {
  return new Map(snapshot.routes.get("http_proxy")!.virtualHosts.map((each) => [each.name, each]));
}

/** Names of what is not the same object in both. */
function changed<Value>(before: Map<string, Value>, after: Map<string, Value>): string[] {
  return [...after.keys()].filter((name) => before.get(name) !== after.get(name));
}

Deno.test("a proxy has listeners, routes, clusters and the names of its endpoints", () => {
  const snapshot = compileProxy(mesh(bookinfo(), rules), node());
  deepStrictEqual([...snapshot.listeners.keys()], ["127.0.1.1_9080", "virtualInbound", "http_proxy|127.0.0.1:15002"]);
  deepStrictEqual([...snapshot.routes.keys()], ["http_proxy"]);
  deepStrictEqual(snapshot.endpoints, [...snapshot.clusters.keys()].filter((name) => name.startsWith("outbound|")));
  deepStrictEqual(snapshot.warnings, []);
  const proxy = json(ListenerSchema, snapshot.listeners.get("http_proxy|127.0.0.1:15002"));
  strictEqual(proxy.trafficDirection, "OUTBOUND");
  const manager = proxy.filterChains[0].filters[0].typedConfig;
  strictEqual(manager.rds.routeConfigName, "http_proxy");
  deepStrictEqual(manager.rds.configSource.ads, {});
  strictEqual(manager.useRemoteAddress, false);
  strictEqual(manager.generateRequestId, true);
  deepStrictEqual(manager.httpFilters.map(({ name }: { name: string }) => name), [
    "envoy.filters.http.cors",
    "envoy.filters.http.fault",
    "envoy.filters.http.dynamic_forward_proxy",
    "envoy.filters.http.router",
  ]);
});

Deno.test("a workload without a proxy port has nothing outbound", () => {
  const snapshot = compileProxy(mesh(bookinfo(), rules), node({ httpProxy: null }));
  deepStrictEqual([...snapshot.clusters.keys()], ["inbound|9080||"]);
  deepStrictEqual(snapshot.endpoints, []);
  strictEqual(snapshot.routes.size, 0);
});

Deno.test("the same mesh compiles to the same objects, for every workload of a namespace", () => {
  const services = bookinfo();
  const first = compileProxy(mesh(services, rules), node());
  const again = compileProxy(mesh(services, rules), node({ workload: "other", labels: {}, ports: [] }));
  strictEqual(again.routes.get("http_proxy"), first.routes.get("http_proxy"));
  for (const name of first.endpoints) strictEqual(again.clusters.get(name), first.clusters.get(name), name);
});

Deno.test("a change to one service leaves the other clusters and virtual hosts as they were", () => {
  const services = bookinfo();
  const before = compileProxy(mesh(services, rules), node());
  const grown = services.map((each) =>
    each.name === "details" ? { ...each, subjectAltNames: ["spiffe://cluster.local/ns/x/sa/y"] } : each
  );
  const after = compileProxy(mesh(grown, rules), node());
  deepStrictEqual(changed(before.clusters, after.clusters).filter((name) => name.startsWith("outbound|")), [
    "outbound|9080||details.default.svc.cluster.local",
  ]);
  // The route of ratings leads to details, so it is looked at again; its content is what it was.
  deepStrictEqual(changed(virtualHosts(before), virtualHosts(after)), [
    "details.default.svc.cluster.local:9080",
    "ratings.default.svc.cluster.local:9080",
  ]);
  strictEqual(
    encodeResource(after.routes.get("http_proxy")!).version,
    encodeResource(before.routes.get("http_proxy")!).version,
  );
});

Deno.test("a change to one DestinationRule recompiles its host alone", () => {
  const services = bookinfo();
  const before = compileProxy(mesh(services, rules), node());
  const [rule, ...others] = rules;
  const after = compileProxy(mesh(services, [{ ...rule, spec: { host: "reviews" } }, ...others]), node());
  deepStrictEqual(changed(before.clusters, after.clusters).filter((name) => name.startsWith("outbound|")), [
    "outbound|9080||reviews.default.svc.cluster.local",
  ]);
  deepStrictEqual(changed(virtualHosts(before), virtualHosts(after)), ["reviews.default.svc.cluster.local:9080"]);
  deepStrictEqual(after.warnings.map(({ field }) => field), ["http[0].route[0].destination.subset"]);
});

Deno.test("warnings are given again when what they speak of is not compiled again", () => {
  const services = bookinfo();
  const compile = () => compileProxy(mesh(services, rules.slice(1)), node()).warnings;
  const first = compile();
  strictEqual(first.length, 1);
  deepStrictEqual(compile(), first);
});

Deno.test("endpoints are compiled once for the same service and rules", () => {
  const services = bookinfo();
  const name = "outbound|9080|v1|reviews.default.svc.cluster.local";
  const first = compileEndpoints(mesh(services, rules), name);
  strictEqual(compileEndpoints(mesh(services, rules), name), first);
  const grown = services.map((each) => each.name === "reviews" ? { ...each } : each);
  notStrictEqual(compileEndpoints(mesh(grown, rules), name), first);
});

const label = fc.constantFrom("v1", "v2", "v3");
const namespace = fc.constantFrom("default", "shop", "istio-system");
const anyService: fc.Arbitrary<Service> = fc.record({
  name: fc.constantFrom("a", "b", "c", "d"),
  namespace,
  exportTo: fc.constantFrom<string[]>(["*"], ["."], ["shop"]),
  location: fc.constantFrom("MESH_INTERNAL" as const, "MESH_EXTERNAL" as const),
  resolution: fc.constantFrom("STATIC" as const, "NONE" as const, "DNS" as const),
  ports: fc.uniqueArray(
    fc.record({
      name: fc.constant("p"),
      number: fc.constantFrom(80, 9080, 443),
      protocol: fc.constantFrom<Protocol>("HTTP", "GRPC", "TCP", "UNSPECIFIED"),
    }),
    { selector: ({ number }) => number },
  ),
  endpoints: fc.array(
    fc.tuple(label, fc.nat(3), fc.boolean(), fc.constantFrom("", "eu/a", "us")).map(
      ([version, machine, healthy, locality]) =>
        endpoint(`x-${version}`, { address: `127.0.${machine}.1`, healthy, locality, ports: { 80: 80, 9080: 15006 } }),
    ),
    { maxLength: 5 },
  ),
}).map(({ name, ...options }) => service(name, options));

const host = fc.constantFrom("a", "b.shop.svc.cluster.local", "*.default.svc.cluster.local", "*", "c", "gone.example");
const metadata = fc.record({ name: fc.constantFrom("one", "two"), namespace });
const destination = fc.record({
  host: fc.constantFrom("a", "b", "gone"),
  subset: fc.option(label, { nil: undefined }),
});
const anyRule = fc.oneof(
  fc.record({
    kind: fc.constant("DestinationRule" as const),
    metadata,
    spec: fc.record({
      host,
      exportTo: fc.constantFrom<string[] | undefined>(undefined, ["."], ["*"]),
      subsets: fc.uniqueArray(label).map((names) => names.map((name) => ({ name, labels: { version: name } }))),
      trafficPolicy: fc.constantFrom<TrafficPolicy | undefined>(undefined, {
        outlierDetection: { consecutive5xxErrors: 1 },
      }, {
        tls: { mode: "DISABLE" },
      }, { connectionPool: { http: { maxRequestsPerConnection: 1 } } }),
    }),
  }),
  fc.record({
    kind: fc.constant("VirtualService" as const),
    metadata,
    spec: fc.record({
      hosts: fc.array(host, { minLength: 1, maxLength: 2 }),
      exportTo: fc.constantFrom<string[] | undefined>(undefined, ["."], ["shop"]),
      http: fc.array(
        fc.record({
          match: fc.constantFrom<HTTPMatchRequest[] | undefined>(undefined, [{ uri: { prefix: "/x" } }], [{
            sourceLabels: { app: "none" },
          }]),
          route: fc.array(fc.record({ destination, weight: fc.nat(3) }), { minLength: 1, maxLength: 3 }),
          fault: fc.constantFrom(undefined, { abort: { httpStatus: 500, percentage: { value: 1 } } }),
        }),
        { minLength: 1, maxLength: 3 },
      ),
    }),
  }),
).map((rule) => ({
  ...rule,
  apiVersion: "networking.istio.io/v1",
  metadata: { ...rule.metadata, labels: {}, annotations: {} },
  origin: { file: "", line: 1, column: 1 },
}));

Deno.test("whatever the mesh, resources survive encoding, domains are distinct and endpoints are of clusters", () => {
  fc.assert(
    fc.property(fc.array(anyService), fc.array(anyRule), namespace, (services, anyRules, clientNamespace) => {
      const state = mesh(services, anyRules);
      const snapshot = compileProxy(state, node({ namespace: clientNamespace }));
      for (const listener of snapshot.listeners.values()) {
        deepStrictEqual(fromBinary(ListenerSchema, toBinary(ListenerSchema, listener)), listener);
        json(ListenerSchema, listener);
      }
      for (const cluster of snapshot.clusters.values()) {
        deepStrictEqual(fromBinary(ClusterSchema, toBinary(ClusterSchema, cluster)), cluster);
        json(ClusterSchema, cluster);
      }
      for (const routes of snapshot.routes.values()) {
        const bytes = toBinary(RouteConfigurationSchema, routes);
        deepStrictEqual(toBinary(RouteConfigurationSchema, fromBinary(RouteConfigurationSchema, bytes)), bytes);
        json(RouteConfigurationSchema, routes);
        const domains = routes.virtualHosts.flatMap((each) => each.domains);
        strictEqual(new Set(domains).size, domains.length);
        ok(routes.virtualHosts.every((each) => each.routes.length > 0));
        for (const { action } of routes.virtualHosts.flatMap((each) => each.routes)) {
          const specifier = action.case === "route" ? action.value.clusterSpecifier : undefined;
          if (specifier?.case === "weightedClusters") ok(specifier.value.clusters.length > 0);
        }
      }
      for (const name of snapshot.endpoints) {
        ok(snapshot.clusters.has(name), name);
        const assignment = compileEndpoints(state, name, { namespace: clientNamespace, labels: {} });
        const bytes = encodeResource(assignment).bytes;
        deepStrictEqual(fromBinary(ClusterLoadAssignmentSchema, bytes), assignment);
      }
    }),
    { numRuns: 100 },
  );
});

Deno.test("workloads of one namespace differ where a route asks for their labels", () => {
  const [selective] = resources(`
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: reviews }
spec: { hosts: [reviews], http: [
  { name: chosen, match: [ { sourceLabels: { app: a } } ], route: [ { destination: { host: details } } ] },
  { name: rest, route: [ { destination: { host: reviews } } ] } ] }
`);
  const state = mesh(bookinfo(), [selective]);
  const routesOf = (app: string) =>
    virtualHosts(compileProxy(state, node({ labels: { app } }))).get("reviews.default.svc.cluster.local:9080")!.routes
      .map(({ name }) => name);
  deepStrictEqual(routesOf("a"), ["chosen", "connect"]);
  deepStrictEqual(routesOf("b"), ["rest", "connect"]);
});
