/** The TCP proxy: the one network filter of listeners and chains for protocols other than HTTP. */
import { create } from "@bufbuild/protobuf";
import type { MeshSettings } from "../mesh.ts";
import { type Filter, FilterSchema } from "../xds/gen/envoy/config/listener/v3/listener_components_pb.ts";
import { TcpProxySchema } from "../xds/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.ts";
import { packAny } from "../xds/resources.ts";
import { accessLogs } from "./access_log.ts";

/** Connections go to this cluster, whatever they carry. As in Istio, they are named after it. */
export function tcpProxy(cluster: string, settings: MeshSettings): Filter {
  return weightedTcpProxy([{ name: cluster, weight: 1 }], cluster, settings);
}

/** Connections go to these clusters in proportion to their weights. */
export function weightedTcpProxy(
  clusters: readonly { name: string; weight: number }[],
  statPrefix: string,
  settings: MeshSettings,
): Filter {
  const proxy = create(TcpProxySchema, {
    statPrefix,
    clusterSpecifier: clusters.length === 1
      ? { case: "cluster", value: clusters[0].name }
      : { case: "weightedClusters", value: { clusters: [...clusters] } },
    accessLog: accessLogs(settings),
  });
  return create(FilterSchema, {
    name: "envoy.filters.network.tcp_proxy",
    configType: { case: "typedConfig", value: packAny(TcpProxySchema, proxy) },
  });
}
