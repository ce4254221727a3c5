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
import type { DownstreamTlsConfig, PeerRequirements, SecretConfig, TlsSettings, UpstreamTlsConfig } from "../model.ts";
import { isUsable } from "../check_secret.ts";
import { parseSecretName, secretNameForms } from "../secret_names.ts";
import { bundleSecret, certificateSecret, revocationSecret } from "./secrets.ts";
import { holds, unpack } from "./strict.ts";
import type { Place } from "./unsupported.ts";
import { requireAds, stringMatcher } from "./values.ts";

/** What both ends have in common. */
interface CommonTls extends TlsSettings {
  certificates: string[];
  trustBundle: string;
  peer: PeerRequirements;
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
  const commonPlace = at.field("common_tls_context");
  const { certificates, peer, ...common } = commonTls(context.commonTlsContext, commonPlace, secrets);
  const [certificate, ...otherCertificates] = certificates;
  if (certificate === undefined) return commonPlace.refuse("a server needs a certificate");
  commonPlace.require(
    isUndemanding(peer) || common.trustBundle !== "",
    "what a client's certificate must be needs a trust bundle: without one none is asked for",
  );
  const requireClientCertificate = context.requireClientCertificate ?? false;
  at.field("require_client_certificate").require(
    !requireClientCertificate || common.trustBundle !== "",
    "needs a trust bundle to verify the certificate with",
  );
  const tickets = context.sessionTicketKeysType;
  return {
    certificate,
    ...(otherCertificates.length === 0 ? {} : { otherCertificates }),
    ...common,
    ...(isUndemanding(peer) ? {} : { client: peer }),
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
  const commonPlace = at.field("common_tls_context");
  const { certificates, peer, ...common } = commonTls(context.commonTlsContext, commonPlace, secrets);
  commonPlace.require(certificates.length <= 1, "want one certificate");
  return {
    certificate: certificates[0] ?? "",
    ...common,
    ...peer,
    sni: context.sni,
    sessionResumption: context.maxSessionKeys !== 0,
  };
}

function isPlaintext(socket: TransportSocket | undefined): boolean {
  return socket === undefined || holds(socket.configType.value, RawBufferSchema);
}

function isUndemanding(peer: PeerRequirements): boolean {
  return peer.subjectAltNames.length === 0 && Object.keys(peer).length === 1;
}

function commonTls(context: CommonTlsContext | undefined, place: Place, secrets: SecretConfig[]): CommonTls {
  const parameters = place.field("tls_params");
  return {
    certificates: certificates(context, place, secrets),
    ...validation(context, place, secrets),
    alpn: context?.alpnProtocols ?? [],
    ...versions(context?.tlsParams, parameters),
    ...algorithms(context?.tlsParams, parameters),
  };
}

/** Several are for keys of different types. */
function certificates(context: CommonTlsContext | undefined, place: Place, secrets: SecretConfig[]): string[] {
  const named = context?.tlsCertificateSdsSecretConfigs ?? [];
  const namedPlace = place.field("tls_certificate_sds_secret_configs");
  const inline = context?.tlsCertificates ?? [];
  const inlinePlace = place.field("tls_certificates");
  inlinePlace.require(
    named.length === 0 || inline.length === 0,
    "want them in one place, and tls_certificate_sds_secret_configs has some",
  );
  return [
    ...named.map((one, index) => secretName(one, namedPlace.item(index))),
    ...inline.map((one, index) => certificateSecret(one, inlinePlace.item(index), secrets)),
  ];
}

function validation(
  context: CommonTlsContext | undefined,
  place: Place,
  secrets: SecretConfig[],
): Pick<CommonTls, "trustBundle" | "crl" | "peer"> {
  const type = context?.validationContextType;
  if (type?.case === undefined) return { trustBundle: "", peer: { subjectAltNames: [] } };
  const sds = "validation_context_sds_secret_config";
  if (type.case === "validationContextSdsSecretConfig") {
    return { trustBundle: secretName(type.value, place.field(sds)), peer: { subjectAltNames: [] } };
  }
  if (type.case === "validationContext") {
    const at = place.field("validation_context");
    const { trustedCa } = type.value;
    const trustBundle = trustedCa === undefined ? "" : bundleSecret(trustedCa, at.field("trusted_ca"), secrets);
    return { trustBundle, ...peerRequirements(type.value, trustBundle, at, secrets) };
  }
  const at = place.field("combined_validation_context");
  if (type.case !== "combinedValidationContext") return place.refuse(`${type.case} is not implemented`);
  const { defaultValidationContext, validationContextSdsSecretConfig: bundle } = type.value;
  if (bundle === undefined) return at.refuse(`want a ${sds}`);
  const defaults = at.field("default_validation_context");
  defaults.field("trusted_ca").require(
    defaultValidationContext?.trustedCa === undefined,
    "want the trust bundle as a secret",
  );
  const trustBundle = secretName(bundle, at.field(sds));
  return { trustBundle, ...peerRequirements(defaultValidationContext, trustBundle, defaults, secrets) };
}

function peerRequirements(
  context: CertificateValidationContext | undefined,
  trustBundle: string,
  place: Place,
  secrets: SecretConfig[],
): Pick<CommonTls, "crl" | "peer"> {
  const { crl, verifyCertificateHash = [], verifyCertificateSpki = [] } = context ?? {};
  const { subjectAltNames, matchers } = subjectAltNameMatchers(context, place);
  const crlPlace = place.field("crl");
  if (crl !== undefined) crlPlace.require(trustBundle !== "", "needs a trust bundle");
  const hashesPlace = place.field("verify_certificate_hash");
  const keysPlace = place.field("verify_certificate_spki");
  const hashes = verifyCertificateHash.map((hash, index) => {
    const digits = hash.replaceAll(":", "").toLowerCase();
    hashesPlace.item(index).require(/^[0-9a-f]{64}$/.test(digits), "want SHA-256 in hexadecimal");
    return digits;
  });
  verifyCertificateSpki.forEach((hash, index) =>
    keysPlace.item(index).require(/^[A-Za-z0-9+/]{43}=$/.test(hash), "want SHA-256 in base64")
  );
  return {
    ...(crl === undefined ? {} : { crl: revocationSecret(crl, crlPlace, secrets) }),
    peer: {
      subjectAltNames,
      ...(matchers.length === 0 ? {} : { subjectAltNameMatchers: matchers }),
      ...(hashes.length === 0 ? {} : { certificateHashes: hashes }),
      ...(verifyCertificateSpki.length === 0 ? {} : { publicKeyHashes: verifyCertificateSpki }),
    },
  };
}

const nameKinds = {
  [SubjectAltNameMatcher_SanType.EMAIL]: "emails",
  [SubjectAltNameMatcher_SanType.DNS]: "dnsNames",
  [SubjectAltNameMatcher_SanType.URI]: "uris",
  [SubjectAltNameMatcher_SanType.IP_ADDRESS]: "addresses",
} as const;

/** Exact URIs and DNS names, and all others. */
function subjectAltNameMatchers(context: CertificateValidationContext | undefined, place: Place) {
  const subjectAltNames: string[] = [];
  const matchers: NonNullable<PeerRequirements["subjectAltNameMatchers"]> = [];
  (context?.matchTypedSubjectAltNames ?? []).forEach(({ sanType, matcher }, index) => {
    const at = place.field("match_typed_subject_alt_names").item(index);
    const { URI, DNS } = SubjectAltNameMatcher_SanType;
    const kind = nameKinds[sanType as keyof typeof nameKinds];
    if (kind === undefined) return at.field("san_type").refuse("want EMAIL, DNS, URI or IP_ADDRESS");
    if (matcher === undefined) return at.field("matcher").refuse("want one");
    const isPlain = matcher.matchPattern.case === "exact" && !matcher.ignoreCase;
    const value = matcher.matchPattern.case === "exact" ? matcher.matchPattern.value : "";
    if (isPlain && (sanType === URI || sanType === DNS)) {
      at.field("matcher.exact").require(value.includes(":") === (sanType === URI), "want a URI, or a DNS name for DNS");
    }
    if (isPlain && (sanType === DNS || value.includes("://"))) subjectAltNames.push(value);
    else matchers.push({ kind, matcher: stringMatcher(matcher, at.field("matcher")) });
  });
  return { subjectAltNames, matchers };
}

/** Cipher suites of TLS 1.2 and groups. Suites that Envoy lets stand in brackets, as equals, keep their order. */
function algorithms(parameters: TlsParameters | undefined, place: Place): Pick<TlsSettings, "cipherSuites" | "groups"> {
  const suites = (parameters?.cipherSuites ?? []).flatMap((suite) => suite.replace(/^\[|\]$/g, "").split("|"));
  const groups = parameters?.ecdhCurves ?? [];
  check(place.field("cipher_suites"), suites, (suite) => ({ cipherSuites: [suite] }));
  check(place.field("ecdh_curves"), groups, (group) => ({ groups: [group] }));
  return {
    ...(suites.length === 0 ? {} : { cipherSuites: suites }),
    ...(groups.length === 0 ? {} : { groups }),
  };
}

function check(place: Place, names: string[], settings: (name: string) => TlsSettings): void {
  names.forEach((name, index) =>
    place.item(index).require(
      /^[A-Za-z0-9_-]+$/.test(name) && isUsable(settings(name)),
      `${JSON.stringify(name)} is not known to OpenSSL`,
    )
  );
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
