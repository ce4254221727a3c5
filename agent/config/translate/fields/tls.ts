/** Implemented fields of transport sockets and secrets. */
import { WatchedDirectorySchema } from "../../../../routing/xds/gen/envoy/config/core/v3/base_pb.ts";
import { ProxyProtocolConfigSchema } from "../../../../routing/xds/gen/envoy/config/core/v3/proxy_protocol_pb.ts";
import { ProxyProtocolUpstreamTransportSchema } from "../../../../routing/xds/gen/envoy/extensions/transport_sockets/proxy_protocol/v3/upstream_proxy_protocol_pb.ts";
import { RawBufferSchema } from "../../../../routing/xds/gen/envoy/extensions/transport_sockets/raw_buffer/v3/raw_buffer_pb.ts";
import {
  CertificateValidationContextSchema,
  SubjectAltNameMatcherSchema,
  TlsCertificateSchema,
  TlsParametersSchema,
} from "../../../../routing/xds/gen/envoy/extensions/transport_sockets/tls/v3/common_pb.ts";
import { SdsSecretConfigSchema } from "../../../../routing/xds/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.ts";
import {
  CommonTlsContext_CombinedCertificateValidationContextSchema,
  CommonTlsContextSchema,
  DownstreamTlsContextSchema,
  UpstreamTlsContextSchema,
} from "../../../../routing/xds/gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.ts";
import { message } from "./message_fields.ts";

const noSessionCache = "sessions are kept in tickets only, so there is nothing to switch off";
const filesAreWatched = "every file is looked at again and again, wherever it lies";

export const tlsFields = [
  message(RawBufferSchema, ""),
  message(ProxyProtocolUpstreamTransportSchema, "config transport_socket"),
  message(ProxyProtocolConfigSchema, "version"),
  message(UpstreamTlsContextSchema, "common_tls_context sni max_session_keys"),
  message(
    DownstreamTlsContextSchema,
    "common_tls_context require_client_certificate disable_stateless_session_resumption",
    {
      disable_stateful_session_resumption: noSessionCache,
    },
  ),
  message(
    CommonTlsContextSchema,
    `tls_params tls_certificates tls_certificate_sds_secret_configs validation_context
     validation_context_sds_secret_config combined_validation_context alpn_protocols`,
  ),
  message(
    CommonTlsContext_CombinedCertificateValidationContextSchema,
    "default_validation_context validation_context_sds_secret_config",
  ),
  message(
    TlsParametersSchema,
    "tls_minimum_protocol_version tls_maximum_protocol_version cipher_suites ecdh_curves",
  ),
  message(SdsSecretConfigSchema, "name sds_config"),
  message(
    CertificateValidationContextSchema,
    "trusted_ca crl match_typed_subject_alt_names verify_certificate_hash verify_certificate_spki",
    { watched_directory: filesAreWatched },
  ),
  message(SubjectAltNameMatcherSchema, "san_type matcher"),
  message(TlsCertificateSchema, "certificate_chain private_key", { watched_directory: filesAreWatched }),
  message(WatchedDirectorySchema, "path"),
];
