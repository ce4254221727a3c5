/** Transport sockets: TLS contexts of both sides, with what their certificates and trust bundles are called. */
import type { TransportSocket } from "../../../routing/xds/gen/envoy/config/core/v3/base_pb.ts";
import { RawBufferSchema } from "../../../routing/xds/gen/envoy/extensions/transport_sockets/raw_buffer/v3/raw_buffer_pb.ts";
import {
  type CertificateValidationContext,
  SubjectAltNameMatcher_SanType,
  type TlsParameters,
  TlsParameters_TlsProtocol as Protocol,
} from "../../../routing/xds/gen/envoy/extensions/transport_sockets/tls/v3/common_pb.ts";
import type { SdsSecretConfig } from "../../../routing/xds/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.ts";
import {
  type CommonTlsContext,
  DownstreamTlsContextSchema,
  UpstreamTlsContextSchema,
} from "../../../routing/xds/gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.ts";
import type { DownstreamTlsConfig, SecretConfig, UpstreamTlsConfig } from "../model.ts";
import { parseSecretName, secretNameForms } from "../secret_names.ts";
import { bundleSecret, certificateSecret } from "./secrets.ts";
import { holds, unpack } from "./strict.ts";
import type { Place } from "./unsupported.ts";
import { requireAds } from "./values.ts";

interface CommonTls {
  certificate: string;
  trustBundle: string;
  subjectAltNames: string[];
  alpn: string[];
  minimumVersion: "1.2" | "1.3";
  maximumVersion: "1.2" | "1.3";
}

/** The server's end of a filter chain; `null`: plaintext. Secrets that stand in the resource are added to `secrets`. */
export function downstreamTls(
  socket: TransportSocket | undefined,
  place: Place,
  secrets: SecretConfig[],
): DownstreamTlsConfig | null {
  if (isPlaintext(socket)) return null;
  const at = place.field("typed_config");
  const context = unpack(socket?.configType.value, DownstreamTlsContextSchema, at);
  const { subjectAltNames, ...common } = commonTls(context.commonTlsContext, at.field("common_tls_context"), secrets);
  at.field("common_tls_context").require(common.certificate !== "", "a server needs a certificate");
  at.field("common_tls_context").require(subjectAltNames.length === 0, "names of clients are not implemented");
  const requireClientCertificate = context.requireClientCertificate ?? false;
  at.field("require_client_certificate").require(
    !requireClientCertificate || common.trustBundle !== "",
    "needs a trust bundle to verify the certificate with",
  );
  const tickets = context.sessionTicketKeysType;
  return {
    ...common,
    requireClientCertificate,
    sessionResumption: !(tickets.case === "disableStatelessSessionResumption" && tickets.value),
  };
}

/** The client's end towards an endpoint; `null`: plaintext. Secrets as with {@link downstreamTls}. */
export function upstreamTls(
  socket: TransportSocket | undefined,
  place: Place,
  secrets: SecretConfig[],
): UpstreamTlsConfig | null {
  if (isPlaintext(socket)) return null;
  const at = place.field("typed_config");
  const context = unpack(socket?.configType.value, UpstreamTlsContextSchema, at);
  return {
    ...commonTls(context.commonTlsContext, at.field("common_tls_context"), secrets),
    sni: context.sni,
    sessionResumption: context.maxSessionKeys !== 0,
  };
}

function isPlaintext(socket: TransportSocket | undefined): boolean {
  return socket === undefined || holds(socket.configType.value, RawBufferSchema);
}

function commonTls(context: CommonTlsContext | undefined, place: Place, secrets: SecretConfig[]): CommonTls {
  return {
    certificate: certificate(context, place, secrets),
    ...validation(context, place, secrets),
    alpn: context?.alpnProtocols ?? [],
    ...versions(context?.tlsParams, place.field("tls_params")),
  };
}

function certificate(context: CommonTlsContext | undefined, place: Place, secrets: SecretConfig[]): string {
  const named = context?.tlsCertificateSdsSecretConfigs ?? [];
  const namedPlace = place.field("tls_certificate_sds_secret_configs");
  const inline = context?.tlsCertificates ?? [];
  const inlinePlace = place.field("tls_certificates");
  if (named.length > 1) namedPlace.item(1).refuse("want one certificate");
  if (inline.length > 1) inlinePlace.item(1).refuse("want one certificate");
  if (inline.length === 0) return named.length === 0 ? "" : secretName(named[0], namedPlace.item(0));
  inlinePlace.require(named.length === 0, "want one certificate, and tls_certificate_sds_secret_configs has one");
  return certificateSecret(inline[0], inlinePlace.item(0), secrets);
}

function validation(context: CommonTlsContext | undefined, place: Place, secrets: SecretConfig[]) {
  const type = context?.validationContextType;
  if (type?.case === undefined) return { trustBundle: "", subjectAltNames: [] };
  const sds = "validation_context_sds_secret_config";
  if (type.case === "validationContextSdsSecretConfig") {
    return { trustBundle: secretName(type.value, place.field(sds)), subjectAltNames: [] };
  }
  if (type.case === "validationContext") {
    const at = place.field("validation_context");
    return {
      trustBundle: type.value.trustedCa === undefined
        ? ""
        : bundleSecret(type.value.trustedCa, at.field("trusted_ca"), secrets),
      subjectAltNames: subjectAltNames(type.value, at),
    };
  }
  const at = place.field("combined_validation_context");
  if (type.case !== "combinedValidationContext") return place.refuse(`${type.case} is not implemented`);
  const { defaultValidationContext, validationContextSdsSecretConfig: bundle } = type.value;
  if (bundle === undefined) return at.refuse(`want a ${sds}`);
  at.field("default_validation_context.trusted_ca").require(
    defaultValidationContext?.trustedCa === undefined,
    "want the trust bundle as a secret",
  );
  return {
    trustBundle: secretName(bundle, at.field(sds)),
    subjectAltNames: subjectAltNames(defaultValidationContext, at.field("default_validation_context")),
  };
}

function subjectAltNames(context: CertificateValidationContext | undefined, place: Place): string[] {
  return (context?.matchTypedSubjectAltNames ?? []).map(({ sanType, matcher }, index) => {
    const at = place.field("match_typed_subject_alt_names").item(index);
    const { URI, DNS } = SubjectAltNameMatcher_SanType;
    at.field("san_type").require(sanType === URI || sanType === DNS, "want URI or DNS");
    if (matcher?.matchPattern.case !== "exact") return at.field("matcher").refuse("want exact");
    at.field("matcher.ignore_case").require(!matcher.ignoreCase, "is not implemented");
    const { value } = matcher.matchPattern;
    at.field("matcher.exact").require(value.includes(":") === (sanType === URI), "want a URI, or a DNS name for DNS");
    return value;
  });
}

function secretName({ name, sdsConfig }: SdsSecretConfig, place: Place): string {
  place.field("name").require(parseSecretName(name) !== null, `${secretNameForms}; found ${JSON.stringify(name)}`);
  requireAds(sdsConfig, place.field("sds_config"));
  return name;
}

/** Left to the default, the maximum is 1.3. (A stock Envoy as a client goes up to 1.2 unless it is told.) */
function versions(parameters: TlsParameters | undefined, place: Place) {
  const { TLS_AUTO, TLSv1_2, TLSv1_3 } = Protocol;
  const version = (protocol: Protocol, absent: "1.2" | "1.3", at: Place) => {
    at.require(protocol === TLS_AUTO || protocol === TLSv1_2 || protocol === TLSv1_3, "want TLSv1_2 or TLSv1_3");
    return protocol === TLS_AUTO ? absent : protocol === TLSv1_3 ? "1.3" : "1.2";
  };
  const { tlsMinimumProtocolVersion = TLS_AUTO, tlsMaximumProtocolVersion = TLS_AUTO } = parameters ?? {};
  const maximumVersion = version(tlsMaximumProtocolVersion, "1.3", place.field("tls_maximum_protocol_version"));
  const at = place.field("tls_minimum_protocol_version");
  const minimumVersion = version(tlsMinimumProtocolVersion, "1.2", at);
  at.require(minimumVersion <= maximumVersion, "want at most the maximum");
  return { minimumVersion, maximumVersion } as const;
}
