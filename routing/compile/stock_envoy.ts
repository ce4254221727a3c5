/** What a stock Envoy has to be told otherwise than a skiff agent. */
import { create, type DescMessage, type MessageInitShape } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { type Cluster, ClusterSchema } from "../xds/gen/envoy/config/cluster/v3/cluster_pb.ts";
import { type TransportSocket, TransportSocketSchema } from "../xds/gen/envoy/config/core/v3/base_pb.ts";
import { ProxyProtocolUpstreamTransportSchema } from "../xds/gen/envoy/extensions/transport_sockets/proxy_protocol/v3/upstream_proxy_protocol_pb.ts";
import { UpstreamTlsContextSchema } from "../xds/gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.ts";
import { HttpProtocolOptionsSchema } from "../xds/gen/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.ts";
import { packAny } from "../xds/resources.ts";

const HTTP2 = "h2";

const adapted = new WeakMap<Cluster, Cluster>();

/**
 * The same cluster without an offer of HTTP/2 where the cluster speaks HTTP/1.1: a skiff agent speaks what ALPN agrees
 * on, Envoy what the cluster says, whatever was agreed on. (Its `auto_config` would follow ALPN, but is refused where
 * some endpoints are reached without TLS.)
 */
export function clusterForEnvoy(cluster: Cluster): Cluster {
  let known = adapted.get(cluster);
  if (known === undefined) adapted.set(cluster, known = speaksHttp2(cluster) ? cluster : withoutHttp2(cluster));
  return known;
}

function speaksHttp2({ typedExtensionProtocolOptions }: Cluster): boolean {
  return Object.values(typedExtensionProtocolOptions).some((packed) => {
    const { upstreamProtocolOptions } = anyUnpack(packed, HttpProtocolOptionsSchema) ?? {};
    return upstreamProtocolOptions?.case === "explicitHttpConfig" &&
      upstreamProtocolOptions.value.protocolConfig.case === "http2ProtocolOptions";
  });
}

function withoutHttp2(cluster: Cluster): Cluster {
  const { transportSocket, transportSocketMatches } = cluster;
  return create(ClusterSchema, {
    ...cluster,
    transportSocket: transportSocket === undefined ? undefined : socketWithoutHttp2(transportSocket),
    transportSocketMatches: transportSocketMatches.map((match) => ({
      ...match,
      transportSocket: match.transportSocket === undefined ? undefined : socketWithoutHttp2(match.transportSocket),
    })),
  });
}

function socketWithoutHttp2(socket: TransportSocket): TransportSocket {
  if (socket.configType.case !== "typedConfig") return socket;
  const proxied = anyUnpack(socket.configType.value, ProxyProtocolUpstreamTransportSchema);
  if (proxied?.transportSocket !== undefined) {
    const transportSocket = socketWithoutHttp2(proxied.transportSocket);
    return packed(socket.name, ProxyProtocolUpstreamTransportSchema, { ...proxied, transportSocket });
  }
  const context = anyUnpack(socket.configType.value, UpstreamTlsContextSchema);
  const common = context?.commonTlsContext;
  if (context === undefined || common === undefined || !common.alpnProtocols.includes(HTTP2)) return socket;
  const alpnProtocols = common.alpnProtocols.filter((protocol) => protocol !== HTTP2);
  const changed = { ...context, commonTlsContext: { ...common, alpnProtocols } };
  return packed(socket.name, UpstreamTlsContextSchema, changed);
}

function packed<Schema extends DescMessage>(name: string, schema: Schema, message: MessageInitShape<Schema>) {
  return create(TransportSocketSchema, {
    name,
    configType: { case: "typedConfig", value: packAny(schema, create(schema, message)) },
  });
}
