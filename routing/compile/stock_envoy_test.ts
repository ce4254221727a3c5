import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import type { Cluster } from "../xds/gen/envoy/config/cluster/v3/cluster_pb.ts";
import { UpstreamTlsContextSchema } from "../xds/gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.ts";
import { compileProxy } from "./proxy.ts";
import { mesh, node, service } from "./testing/mesh.ts";

const software = { kind: "envoy", secretDirectory: "/secrets", credentialDirectory: "/credentials" } as const;

function offered(cluster: Cluster): string[] {
  const { configType } = cluster.transportSocketMatches[0].transportSocket!;
  return anyUnpack(configType.value!, UpstreamTlsContextSchema)!.commonTlsContext!.alpnProtocols;
}

Deno.test("a stock Envoy offers HTTP/2 where its cluster speaks it, and there alone", () => {
  const services = [
    service("reviews"),
    service("ratings", { ports: [{ name: "grpc", number: 9080, protocol: "GRPC" }] }),
  ];
  const state = mesh(services);
  const agent = compileProxy(state, node());
  const envoy = compileProxy(state, node({ software }));
  const reviews = "outbound|9080||reviews.default.svc.cluster.local";
  const ratings = "outbound|9080||ratings.default.svc.cluster.local";
  deepStrictEqual(offered(agent.clusters.get(reviews)!), ["h2", "istio-http/1.1", "istio", "http/1.1"]);
  deepStrictEqual(offered(envoy.clusters.get(reviews)!), ["istio-http/1.1", "istio", "http/1.1"]);
  strictEqual(envoy.clusters.get(ratings), agent.clusters.get(ratings));
  strictEqual(compileProxy(state, node({ software })).clusters.get(reviews), envoy.clusters.get(reviews), "made once");
});
