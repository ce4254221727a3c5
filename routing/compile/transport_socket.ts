/** TLS between workloads of the mesh: both ends of mutual TLS 1.3, with secrets the agent keeps to itself. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { type TransportSocket, TransportSocketSchema } from "../xds/gen/envoy/config/core/v3/base_pb.ts";
import { ApiVersion, type ConfigSource, ConfigSourceSchema } from "../xds/gen/envoy/config/core/v3/config_source_pb.ts";
import { ProxyProtocolConfig_Version } from "../xds/gen/envoy/config/core/v3/proxy_protocol_pb.ts";
import { ProxyProtocolUpstreamTransportSchema } from "../xds/gen/envoy/extensions/transport_sockets/proxy_protocol/v3/upstream_proxy_protocol_pb.ts";
import { RawBufferSchema } from "../xds/gen/envoy/extensions/transport_sockets/raw_buffer/v3/raw_buffer_pb.ts";
import {
  SubjectAltNameMatcher_SanType,
  TlsParameters_TlsProtocol,
} from "../xds/gen/envoy/extensions/transport_sockets/tls/v3/common_pb.ts";
import {
  type CommonTlsContextSchema,
  DownstreamTlsContextSchema,
  UpstreamTlsContextSchema,
} from "../xds/gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.ts";
import type { ClientTLSSettings } from "../istio/types.ts";
import type { Protocol } from "../mesh.ts";
import { packAny } from "../xds/resources.ts";
import { isHttp, isHttp2 } from "./protocol.ts";

/** Name of the secret with the workload's certificate and key. */
export const WORKLOAD_CERTIFICATE = "default";
/** Name of the secret with the mesh's trust bundle. */
export const TRUST_BUNDLE = "ROOTCA";

/**
 * What the two ends offer: between agents HTTP/2, whatever the applications speak, since many requests then share one
 * connection and one write; a peer that does not take it gets HTTP/1.1, offered under the names that Istio's client
 * uses for it.
 */
const CLIENT_ALPN = ["h2", "istio-http/1.1", "istio", "http/1.1"];
const CLIENT_ALPN_HTTP2 = ["istio-h2", "istio", "h2"];
const CLIENT_ALPN_TCP = ["istio"];
const SERVER_ALPN = ["h2", "http/1.1"];

/** What only clients of the mesh offer: by it mutual TLS is told from the application's own. As istiod has it. */
export const MUTUAL_TLS_ALPN = ["istio-peer-exchange", "istio", "istio-http/1.0", "istio-http/1.1", "istio-h2"];

/** Name of the TLS transport socket. */
export const TLS = "envoy.transport_sockets.tls";

/** Resources that come over the stream the referring resource came over. */
export const ADS: ConfigSource = create(ConfigSourceSchema, {
  configSourceSpecifier: { case: "ads", value: {} },
  // Istio's: a proxy waits for a resource as long as it takes, instead of going on without.
  initialFetchTimeout: durationFromMs(0),
  resourceApiVersion: ApiVersion.V3,
});

/** No TLS. */
export const RAW_BUFFER: TransportSocket = create(TransportSocketSchema, {
  name: "envoy.transport_sockets.raw_buffer",
  configType: { case: "typedConfig", value: packAny(RawBufferSchema, create(RawBufferSchema)) },
});

/** The socket behind a header of the PROXY protocol, which tells the server who the caller is. */
export function withProxyProtocol(socket: TransportSocket, version: "V1" | "V2"): TransportSocket {
  const { V1, V2 } = ProxyProtocolConfig_Version;
  const wrapper = create(ProxyProtocolUpstreamTransportSchema, {
    config: { version: version === "V2" ? V2 : V1 },
    transportSocket: socket,
  });
  return create(TransportSocketSchema, {
    name: "envoy.transport_sockets.upstream_proxy_protocol",
    configType: { case: "typedConfig", value: packAny(ProxyProtocolUpstreamTransportSchema, wrapper) },
  });
}

export interface UpstreamIdentity {
  sni: string;
  /** URIs of which the server's certificate must carry one; empty: whatever the trust bundle vouches for. */
  subjectAltNames: readonly string[];
  protocol: Protocol;
}

/** The client's end: presents the workload's certificate, and checks the server's against the names it may have. */
export function upstreamMutualTls(identity: UpstreamIdentity): TransportSocket {
  const context = create(UpstreamTlsContextSchema, {
    sni: identity.sni,
    commonTlsContext: commonContext(clientAlpn(identity.protocol), identity.subjectAltNames),
  });
  return create(TransportSocketSchema, {
    name: TLS,
    configType: { case: "typedConfig", value: packAny(UpstreamTlsContextSchema, context) },
  });
}

function clientAlpn(protocol: Protocol): string[] {
  return isHttp2(protocol) ? CLIENT_ALPN_HTTP2 : isHttp(protocol) ? CLIENT_ALPN : CLIENT_ALPN_TCP;
}

/** TLS towards servers that have certificates of their own, as a DestinationRule says (modes SIMPLE and MUTUAL). */
export function upstreamTls(settings: ClientTLSSettings, protocol: Protocol): TransportSocket {
  const { mode, credentialName, clientCertificate, privateKey, caCertificates } = settings;
  const certificate = credentialName
    ? `kubernetes://${credentialName}`
    : `file-cert:${clientCertificate}~${privateKey}`;
  const trustBundle = credentialName
    ? `kubernetes://${credentialName}-cacert`
    : `file-root:${caCertificates || "system"}`;
  const context = create(UpstreamTlsContextSchema, {
    sni: settings.sni ?? "",
    commonTlsContext: {
      tlsParams: {
        tlsMinimumProtocolVersion: TlsParameters_TlsProtocol.TLSv1_2,
        tlsMaximumProtocolVersion: TlsParameters_TlsProtocol.TLSv1_3,
      },
      alpnProtocols: isHttp2(protocol) ? ["h2"] : [],
      tlsCertificateSdsSecretConfigs: mode === "MUTUAL" ? [{ name: certificate, sdsConfig: ADS }] : [],
      validationContextType: settings.insecureSkipVerify ? undefined : {
        case: "combinedValidationContext",
        value: {
          defaultValidationContext: {
            matchTypedSubjectAltNames: (settings.subjectAltNames ?? []).map(subjectAltName),
            crl: settings.caCrl ? { specifier: { case: "filename", value: settings.caCrl } } : undefined,
          },
          validationContextSdsSecretConfig: { name: trustBundle, sdsConfig: ADS },
        },
      },
    },
  });
  return create(TransportSocketSchema, {
    name: TLS,
    configType: { case: "typedConfig", value: packAny(UpstreamTlsContextSchema, context) },
  });
}

/** Istio's names are of any type; in xDS each has its own. */
function subjectAltName(value: string) {
  const { URI, DNS, IP_ADDRESS } = SubjectAltNameMatcher_SanType;
  const isAddress = /^[0-9.]+$/.test(value) || (value.includes(":") && !value.includes("/"));
  return {
    sanType: value.includes("://") ? URI : isAddress ? IP_ADDRESS : DNS,
    matcher: { matchPattern: { case: "exact" as const, value } },
  };
}

/** The server's end: demands a certificate from the client. */
export const DOWNSTREAM_MUTUAL_TLS: TransportSocket = downstreamMutualTls(SERVER_ALPN);

/** The same for what is not HTTP: whatever the client offers, nothing is agreed on. */
export const DOWNSTREAM_MUTUAL_TLS_TCP: TransportSocket = downstreamMutualTls([]);

function downstreamMutualTls(alpn: string[]): TransportSocket {
  const context = create(DownstreamTlsContextSchema, {
    requireClientCertificate: true,
    commonTlsContext: commonContext(alpn, []),
  });
  return create(TransportSocketSchema, {
    name: TLS,
    configType: { case: "typedConfig", value: packAny(DownstreamTlsContextSchema, context) },
  });
}

/** Mutual TLS to endpoints that are known to take it, plaintext to the others: Istio's auto mTLS. */
export function autoMutualTls(
  mutualTls: TransportSocket,
): { name: string; match: Record<string, string>; transportSocket: TransportSocket }[] {
  return [
    { name: "tlsMode-istio", match: { tlsMode: "istio" }, transportSocket: mutualTls },
    { name: "tlsMode-disabled", match: {}, transportSocket: RAW_BUFFER },
  ];
}

function commonContext(
  alpnProtocols: string[],
  subjectAltNames: readonly string[],
): MessageInitShape<typeof CommonTlsContextSchema> {
  return {
    // The maximum is said too, because Envoy's default for clients ends at 1.2.
    tlsParams: {
      tlsMinimumProtocolVersion: TlsParameters_TlsProtocol.TLSv1_3,
      tlsMaximumProtocolVersion: TlsParameters_TlsProtocol.TLSv1_3,
    },
    alpnProtocols,
    tlsCertificateSdsSecretConfigs: [{ name: WORKLOAD_CERTIFICATE, sdsConfig: ADS }],
    validationContextType: {
      case: "combinedValidationContext",
      value: {
        defaultValidationContext: {
          matchTypedSubjectAltNames: subjectAltNames.map((uri) => ({
            sanType: SubjectAltNameMatcher_SanType.URI,
            matcher: { matchPattern: { case: "exact", value: uri } },
          })),
        },
        validationContextSdsSecretConfig: { name: TRUST_BUNDLE, sdsConfig: ADS },
      },
    },
  };
}
