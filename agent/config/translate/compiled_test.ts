import assert from "node:assert/strict";
import { fromBinary } from "@bufbuild/protobuf";
import { compileEndpoints } from "../../../routing/compile/endpoints.ts";
import { compileProxy } from "../../../routing/compile/proxy.ts";
import { bookinfo, mesh, node } from "../../../routing/compile/testing/mesh.ts";
import { ClusterSchema } from "../../../routing/xds/gen/envoy/config/cluster/v3/cluster_pb.ts";
import { ClusterLoadAssignmentSchema } from "../../../routing/xds/gen/envoy/config/endpoint/v3/endpoint_pb.ts";
import { ListenerSchema } from "../../../routing/xds/gen/envoy/config/listener/v3/listener_pb.ts";
import { RouteConfigurationSchema } from "../../../routing/xds/gen/envoy/config/route/v3/route_pb.ts";
import { encodeResource } from "../../../routing/xds/resources.ts";
import { translateCluster } from "./cluster.ts";
import { translateEndpoints } from "./endpoints.ts";
import { translateListener } from "./listener.ts";
import { translateRouteConfiguration } from "./route.ts";

const rules = `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: reviews }
spec:
  host: reviews
  trafficPolicy:
    loadBalancer: { simple: RANDOM }
    connectionPool:
      tcp: { maxConnections: 5, connectTimeout: 1s, tcpKeepalive: { time: 10s, probes: 2 } }
      http: { http1MaxPendingRequests: 7, maxRequestsPerConnection: 3, idleTimeout: 4s, maxRetries: 2 }
    outlierDetection: { consecutive5xxErrors: 3, consecutiveGatewayErrors: 2, interval: 1s, maxEjectionPercent: 50 }
  subsets:
    - { name: v1, labels: { version: v1 } }
    - { name: v2, labels: { version: v2 } }
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: reviews }
spec:
  hosts: [reviews]
  http:
    - match:
        - uri: { regex: "/reviews/[0-9]+" }
          headers: { end-user: { exact: jason }, x-any: {} }
          withoutHeaders: { cookie: { regex: "a=.+" }, x-gone: {} }
          queryParams: { q: { exact: "1" } }
          method: { exact: GET }
      fault:
        delay: { percentage: { value: 100 }, fixedDelay: 2s }
        abort: { percentage: { value: 0.5 }, httpStatus: 500 }
      rewrite: { uriRegexRewrite: { match: "^/reviews/(.*)$", rewrite: '/\\1' }, authority: other }
      route: [{ destination: { host: reviews, subset: v2 } }]
    - match: [{ uri: { exact: /old } }]
      redirect: { uri: /new, redirectCode: 302 }
    - match: [{ uri: { prefix: /teapot } }]
      directResponse: { status: 418, body: { string: teapot } }
    - timeout: 3s
      retries: { attempts: 3, perTryTimeout: 1s, retryOn: "5xx,503", backoff: 1s }
      headers: { request: { add: { x-a: b }, remove: [x-c] }, response: { set: { x-d: e } } }
      route:
        - { destination: { host: reviews, subset: v1 }, weight: 90 }
        - destination: { host: reviews, subset: v2 }
          weight: 10
          headers: { request: { set: { host: v2.internal, x-e: f } } }
`;

Deno.test("implements all that the control plane compiles from bookinfo and its rules", () => {
  const compiled = mesh(bookinfo(), rules, { accessLogFile: "/dev/stdout", accessLogEncoding: "JSON" });
  const { listeners, routes, clusters, endpoints, warnings } = compileProxy(compiled, node());
  assert.deepEqual(warnings, []);
  for (const listener of listeners.values()) {
    translateListener(fromBinary(ListenerSchema, encodeResource(listener).bytes));
  }
  for (const cluster of clusters.values()) {
    translateCluster(fromBinary(ClusterSchema, encodeResource(cluster).bytes));
  }
  for (const name of endpoints) {
    const { bytes } = encodeResource(compileEndpoints(compiled, name));
    const { localities } = translateEndpoints(fromBinary(ClusterLoadAssignmentSchema, bytes), name);
    assert.ok(localities.length > 0, name);
  }
  const [outbound] = [...routes.values()].map((route) =>
    translateRouteConfiguration(fromBinary(RouteConfigurationSchema, encodeResource(route).bytes))
  );
  const reviews = outbound.virtualHosts.find(({ domains }) => domains.includes("reviews"))!;
  assert.deepEqual(reviews.routes.map(({ action }) => action.kind), ["route", "redirect", "direct", "route", "route"]);
  assert.equal(reviews.routes.at(-1)!.match.connect, true);
});
