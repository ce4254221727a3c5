/** TLS that ends at a gateway: contexts as istiod writes them, with secrets that stay with the agent. */
import { isIP } from "node:net";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { ServerTLSSettings, TLSProtocol } from "../../istio/types.ts";
import { cipherSuites } from "../../istio/schema/gateway.ts";
import { type TransportSocket, TransportSocketSchema } from "../../xds/gen/envoy/config/core/v3/base_pb.ts";
import {
  type CertificateValidationContextSchema,
  SubjectAltNameMatcher_SanType as SanType,
  TlsParameters_TlsProtocol as Protocol,
} from "../../xds/gen/envoy/extensions/transport_sockets/tls/v3/common_pb.ts";
import { DownstreamTlsContextSchema } from "../../xds/gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.ts";
import { packAny } from "../../xds/resources.ts";
import { ADS, DOWNSTREAM_MUTUAL_TLS, DOWNSTREAM_MUTUAL_TLS_TCP, TLS } from "../transport_socket.ts";

/** Below 1.2 nothing is spoken. */
const versions: Readonly<Record<TLSProtocol, Protocol>> = {
  TLS_AUTO: Protocol.TLS_AUTO,
  TLSV1_0: Protocol.TLSv1_2,
  TLSV1_1: Protocol.TLSv1_2,
  TLSV1_2: Protocol.TLSv1_2,
  TLSV1_3: Protocol.TLSv1_3,
};

/** @param http whether HTTP is served behind it */
export function gatewayTls(tls: ServerTLSSettings, http: boolean): TransportSocket {
  if (tls.mode === "ISTIO_MUTUAL") return http ? DOWNSTREAM_MUTUAL_TLS : DOWNSTREAM_MUTUAL_TLS_TCP;
  const asksForCertificate = tls.mode === "MUTUAL" || tls.mode === "OPTIONAL_MUTUAL";
  const context = create(DownstreamTlsContextSchema, {
    requireClientCertificate: tls.mode === "MUTUAL",
    commonTlsContext: {
      tlsParams: {
        tlsMinimumProtocolVersion: versions[tls.minProtocolVersion ?? "TLSV1_2"] || Protocol.TLSv1_2,
        tlsMaximumProtocolVersion: versions[tls.maxProtocolVersion ?? "TLS_AUTO"],
        cipherSuites: [...new Set(tls.cipherSuites)].filter((name) => cipherSuites.includes(name)),
      },
      alpnProtocols: http ? ["h2", "http/1.1"] : [],
      tlsCertificateSdsSecretConfigs: certificateNames(tls).map((name) => ({ name, sdsConfig: ADS })),
      validationContextType: !asksForCertificate ? undefined : {
        case: "combinedValidationContext",
        value: {
          defaultValidationContext: validation(tls),
          validationContextSdsSecretConfig: { name: rootName(tls), sdsConfig: ADS },
        },
      },
    },
  });
  return create(TransportSocketSchema, {
    name: TLS,
    configType: { case: "typedConfig", value: packAny(DownstreamTlsContextSchema, context) },
  });
}

/** Secrets by istiod's names: `kubernetes://NAME`, and files by their paths. */
function certificateNames(tls: ServerTLSSettings): string[] {
  const credentials = tls.credentialName ? [tls.credentialName] : tls.credentialNames ?? [];
  if (credentials.length > 0) return credentials.map((name) => `kubernetes://${name}`);
  const files = tls.tlsCertificates ?? [tls];
  return files.map(({ serverCertificate = "", privateKey = "" }) => `file-cert:${serverCertificate}~${privateKey}`);
}

function rootName(tls: ServerTLSSettings): string {
  const credential = tls.caCertCredentialName || tls.credentialName || tls.credentialNames?.[0];
  return credential ? `kubernetes://${credential}-cacert` : `file-root:${tls.caCertificates ?? ""}`;
}

/** What a client's certificate has to be, beyond one of an authority that is trusted. */
function validation(tls: ServerTLSSettings): MessageInitShape<typeof CertificateValidationContextSchema> {
  return {
    matchTypedSubjectAltNames: (tls.subjectAltNames ?? []).map((value) => ({
      sanType: sanTypeOf(value),
      matcher: { matchPattern: { case: "exact" as const, value } },
    })),
    verifyCertificateSpki: tls.verifyCertificateSpki ?? [],
    verifyCertificateHash: tls.verifyCertificateHash ?? [],
    ...(tls.caCrl ? { crl: { specifier: { case: "filename" as const, value: tls.caCrl } } } : {}),
  };
}

/** What kind of name it is: istiod lets one list stand for all of them. */
function sanTypeOf(name: string): SanType {
  if (isIP(name) !== 0) return SanType.IP_ADDRESS;
  if (name.includes(":")) return SanType.URI;
  return name.includes("@") ? SanType.EMAIL : SanType.DNS;
}
