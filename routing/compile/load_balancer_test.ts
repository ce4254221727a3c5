import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { ClusterSchema } from "../xds/gen/envoy/config/cluster/v3/cluster_pb.ts";
import { RouteConfigurationSchema } from "../xds/gen/envoy/config/route/v3/route_pb.ts";
import { compileProxy } from "./proxy.ts";
import { bookinfo, json, mesh, node } from "./testing/mesh.ts";

const host = "reviews.default.svc.cluster.local";

function compile(loadBalancer: string, more = "") {
  const rules = `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: reviews }
spec:
  host: reviews
  trafficPolicy: { loadBalancer: ${loadBalancer} }
  subsets: [{ name: v1, labels: { version: v1 } }, { name: v2, trafficPolicy: { loadBalancer: { simple: RANDOM } } }]
${more}`;
  const snapshot = compileProxy(mesh(bookinfo(), rules), node());
  const routes = json(RouteConfigurationSchema, snapshot.routes.get("http_proxy"));
  return {
    cluster: json(ClusterSchema, snapshot.clusters.get(`outbound|9080||${host}`)),
    // deno-lint-ignore no-explicit-any -- JSON of xDS
    route: routes.virtualHosts.find(({ name }: any) => name === `${host}:9080`).routes[0].route,
  };
}

Deno.test("a consistent hash is a ring unless the rule asks for Maglev", () => {
  const table = (rule: string) => {
    const { lbPolicy, ringHashLbConfig, maglevLbConfig } = compile(`{ consistentHash: { ${rule} } }`).cluster;
    return [lbPolicy, ringHashLbConfig ?? maglevLbConfig];
  };
  deepStrictEqual(table("useSourceIp: true"), ["RING_HASH", {}]);
  deepStrictEqual(table("useSourceIp: true, minimumRingSize: 7"), ["RING_HASH", { minimumRingSize: "7" }]);
  deepStrictEqual(table("useSourceIp: true, ringHash: { minimumRingSize: 9 }"), [
    "RING_HASH",
    { minimumRingSize: "9" },
  ]);
  deepStrictEqual(table("useSourceIp: true, maglev: {}"), ["MAGLEV", {}]);
  deepStrictEqual(table("useSourceIp: true, maglev: { tableSize: 101 }"), ["MAGLEV", { tableSize: "101" }]);
});

Deno.test("routes hash what the rule of their cluster names", () => {
  const policies = (rule: string) => compile(`{ consistentHash: { ${rule} } }`).route.hashPolicy;
  deepStrictEqual(policies("httpHeaderName: x-user"), [{ header: { headerName: "x-user" } }]);
  deepStrictEqual(policies("httpQueryParameterName: user"), [{ queryParameter: { name: "user" } }]);
  deepStrictEqual(policies("useSourceIp: true"), [{ connectionProperties: { sourceIp: true } }]);
  strictEqual(policies("useSourceIp: false"), undefined);
  deepStrictEqual(policies("httpCookie: { name: c, path: /p, ttl: 0s, attributes: [{ name: Secure }] }"), [
    { cookie: { name: "c", path: "/p", ttl: "0s", attributes: [{ name: "Secure" }] } },
  ]);
  deepStrictEqual(policies("httpCookie: { name: c }"), [{ cookie: { name: "c" } }]);
});

Deno.test("a route over several clusters has the policies of those that hash", () => {
  const { route } = compile(
    "{ consistentHash: { httpHeaderName: x-user } }",
    `
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: reviews }
spec:
  hosts: [reviews]
  http:
    - route:
        - { destination: { host: reviews, subset: v1 }, weight: 50 }
        - { destination: { host: reviews, subset: v2 }, weight: 50 }
`,
  );
  deepStrictEqual(route.hashPolicy, [{ header: { headerName: "x-user" } }]);
});

Deno.test("warm-up is the slow start of the policy", () => {
  const least = compile("{ warmup: { duration: 10s, minimumPercent: 20, aggression: 1.5 } }").cluster;
  deepStrictEqual(least.leastRequestLbConfig, {
    slowStartConfig: {
      slowStartWindow: "10s",
      aggression: { defaultValue: 1.5, runtimeKey: "upstream.slow_start.aggression" },
      minWeightPercent: { value: 20 },
    },
  });
  const turns = compile("{ simple: ROUND_ROBIN, warmupDurationSecs: 5s }").cluster;
  deepStrictEqual(turns.roundRobinLbConfig, { slowStartConfig: { slowStartWindow: "5s" } });
});
