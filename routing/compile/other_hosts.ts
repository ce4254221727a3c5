/** What becomes of requests for hosts that neither a service nor a rule has: `outboundTrafficPolicy`, in istiod's names. */
import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import type { MeshSettings } from "../mesh.ts";
import { type Cluster, Cluster_DiscoveryType, ClusterSchema } from "../xds/gen/envoy/config/cluster/v3/cluster_pb.ts";
import { type VirtualHost, VirtualHostSchema } from "../xds/gen/envoy/config/route/v3/route_components_pb.ts";
import { connectionPoolFields } from "./connection_pool.ts";
import { dynamicDiscovery } from "./dynamic_forward_proxy.ts";
import { connectRoute } from "./routes.ts";
import type { UnknownTraffic } from "./sidecar/outbound_traffic_policy.ts";

const PASSTHROUGH_CLUSTER = "PassthroughCluster";
const BLACK_HOLE_CLUSTER = "BlackHoleCluster";

const everyHost = ["*"];
const everyPath = { pathSpecifier: { case: "prefix" as const, value: "/" } };

/** By the cluster that gets everything. */
const allowAny = new Map<string, VirtualHost>();

function allowingHost(cluster: string): VirtualHost {
  let known = allowAny.get(cluster);
  if (known === undefined) {
    const value = { clusterSpecifier: { case: "cluster" as const, value: cluster }, timeout: durationFromMs(0) };
    known = create(VirtualHostSchema, {
      name: "allow_any",
      domains: everyHost,
      includeRequestAttemptCount: true,
      routes: [{ name: "allow_any", match: everyPath, action: { case: "route", value } }, connectRoute(cluster)],
    });
    allowAny.set(cluster, known);
  }
  return known;
}

const blockAll: VirtualHost = create(VirtualHostSchema, {
  name: "block_all",
  domains: everyHost,
  routes: [
    { name: "block_all", match: everyPath, action: { case: "directResponse", value: { status: 502 } } },
    connectRoute(BLACK_HOLE_CLUSTER),
  ],
});

/** The virtual host of all that no other one has. */
export function otherHosts({ mode, egressProxy }: UnknownTraffic): VirtualHost {
  return mode === "REGISTRY_ONLY" ? blockAll : allowingHost(egressProxy ?? PASSTHROUGH_CLUSTER);
}

const clusters = new WeakMap<MeshSettings, readonly Cluster[]>();

/** The clusters that every proxy has: one that goes where a request says, and one without hosts. */
export function otherHostsClusters(settings: MeshSettings): readonly Cluster[] {
  let known = clusters.get(settings);
  if (known === undefined) {
    const fields = connectionPoolFields({}, settings, { version: "HTTP/1.1" });
    known = [
      create(ClusterSchema, { name: PASSTHROUGH_CLUSTER, ...fields, ...dynamicDiscovery(settings, false) }),
      create(ClusterSchema, {
        name: BLACK_HOLE_CLUSTER,
        ...fields,
        clusterDiscoveryType: { case: "type", value: Cluster_DiscoveryType.STATIC },
      }),
    ];
    clusters.set(settings, known);
  }
  return known;
}
