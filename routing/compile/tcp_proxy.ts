/** The TCP proxy: the one network filter of listeners and chains for protocols other than HTTP. */
import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { type Filter, FilterSchema } from "../xds/gen/envoy/config/listener/v3/listener_components_pb.ts";
import { TcpProxySchema } from "../xds/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.ts";
import { packAny } from "../xds/resources.ts";
import { parseDuration } from "../istio/duration.ts";
import { accessLogs } from "./access_log.ts";
import type { ProxySettings } from "./telemetry/proxy_settings.ts";
import type { EffectivePolicy } from "./traffic_policy.ts";

/** Whether a policy says something of connections that only the filter which relays them can carry out. */
export function shapesConnections({ connectionPool, loadBalancer, tunnel }: EffectivePolicy): boolean {
  const { idleTimeout, maxConnectionDuration } = connectionPool?.tcp ?? {};
  return idleTimeout !== undefined || maxConnectionDuration !== undefined || tunnel !== undefined ||
    loadBalancer?.consistentHash?.useSourceIp === true;
}

function connectionFields({ connectionPool, loadBalancer, tunnel }: EffectivePolicy) {
  const { idleTimeout, maxConnectionDuration } = connectionPool?.tcp ?? {};
  const duration = (text: string | undefined) => text === undefined ? undefined : durationFromMs(parseDuration(text));
  return {
    idleTimeout: duration(idleTimeout),
    maxDownstreamConnectionDuration: duration(maxConnectionDuration),
    hashPolicy: loadBalancer?.consistentHash?.useSourceIp
      ? [{ policySpecifier: { case: "sourceIp" as const, value: {} } }]
      : [],
    tunnelingConfig: tunnel === undefined ? undefined : {
      hostname: `${
        tunnel.targetHost.includes(":") ? `[${tunnel.targetHost}]` : tunnel.targetHost
      }:${tunnel.targetPort}`,
      usePost: tunnel.protocol === "POST",
    },
  };
}

/** Connections go to this cluster, whatever they carry. As in Istio, they are named after it. */
export function tcpProxy(cluster: string, settings: ProxySettings, policy?: EffectivePolicy): Filter {
  return weightedTcpProxy([{ name: cluster, weight: 1 }], cluster, settings, policy);
}

/** Connections go to these clusters in proportion to their weights; `policy`: of the first. */
export function weightedTcpProxy(
  clusters: readonly { name: string; weight: number }[],
  statPrefix: string,
  settings: ProxySettings,
  policy: EffectivePolicy = {},
): Filter {
  const proxy = create(TcpProxySchema, {
    statPrefix,
    ...connectionFields(policy),
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
