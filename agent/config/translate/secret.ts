/** SDS secrets: a certificate with its key, or a trust bundle. */
import type { DataSource } from "../../../routing/xds/gen/envoy/config/core/v3/base_pb.ts";
import {
  type Secret,
  SecretSchema,
} from "../../../routing/xds/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.ts";
import type { SecretConfig } from "../model.ts";
import { refuseUnimplemented } from "./strict.ts";
import { Place } from "./unsupported.ts";
import { inlineText } from "./values.ts";

/** @throws {UnsupportedConfigurationError} */
export function translateSecret(resource: Secret): SecretConfig {
  const place = new Place(`secret ${resource.name}`);
  refuseUnimplemented(SecretSchema, resource, place);
  const empty = { name: resource.name, certificateChain: "", privateKey: "", trustBundle: "" };
  switch (resource.type.case) {
    case "tlsCertificate": {
      const at = place.field("tls_certificate");
      const { certificateChain, privateKey } = resource.type.value;
      return {
        ...empty,
        certificateChain: pem(certificateChain, at.field("certificate_chain")),
        privateKey: pem(privateKey, at.field("private_key")),
      };
    }
    case "validationContext": {
      const at = place.field("validation_context");
      const { trustedCa, matchTypedSubjectAltNames } = resource.type.value;
      at.field("match_typed_subject_alt_names").require(
        matchTypedSubjectAltNames.length === 0,
        "is not implemented here",
      );
      return { ...empty, trustBundle: pem(trustedCa, at.field("trusted_ca")) };
    }
    default:
      return place.refuse("want a tls_certificate or a validation_context");
  }
}

function pem(source: DataSource | undefined, place: Place): string {
  const text = inlineText(source, place);
  if (!text) place.refuse("want PEM");
  return text;
}
