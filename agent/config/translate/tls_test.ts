import assert from "node:assert/strict";
import type { JsonObject } from "@bufbuild/protobuf";
import { TransportSocketSchema } from "../../../routing/xds/gen/envoy/config/core/v3/base_pb.ts";
import type { SecretConfig } from "../model.ts";
import { message, refusedAt } from "./testdata/envoy_json.ts";
import { downstreamTls } from "./tls.ts";
import { Place } from "./unsupported.ts";

const type = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext";

function translate(commonTlsContext: JsonObject, secrets: SecretConfig[] = [], more: JsonObject = {}) {
  const json = { name: "tls", typedConfig: { "@type": type, commonTlsContext, ...more } };
  return downstreamTls(message(TransportSocketSchema, json), new Place("listener l", "transport_socket"), secrets);
}

const certificates = (certificateChain: JsonObject, privateKey: JsonObject) => ({
  tlsCertificates: [{ certificateChain, privateKey }],
});

Deno.test("files in the resource are the secrets that Istio's names say", () => {
  const secrets: SecretConfig[] = [];
  const tls = translate({
    ...certificates({ filename: "/c.pem" }, { filename: "/k.pem" }),
    validationContext: { trustedCa: { filename: "/ca.pem" } },
  }, secrets);
  assert.equal(tls?.certificate, "file-cert:/c.pem~/k.pem");
  assert.equal(tls?.trustBundle, "file-root:/ca.pem");
  assert.deepEqual(secrets, []);
});

Deno.test("refuses what is no usable secret, by its path", () => {
  const common = "listener l: transport_socket.typed_config.common_tls_context";
  const sds = (name: string) => ({ tlsCertificateSdsSecretConfigs: [{ name, sdsConfig: { ads: {} } }] });
  const refused: [JsonObject, string][] = [
    [sds("unknown"), "tls_certificate_sds_secret_configs[0].name"],
    [sds("kubernetes://a/b"), "tls_certificate_sds_secret_configs[0].name"],
    [certificates({ filename: "c.pem" }, { filename: "/k.pem" }), "tls_certificates[0]"],
    [certificates({ filename: "/c.pem" }, { inlineString: "K" }), "tls_certificates[0].certificate_chain"],
    [certificates({ inlineString: "C" }, { filename: "/k" }), "tls_certificates[0].private_key"],
    [certificates({ inlineString: "C" }, { inlineString: "K" }), "tls_certificates[0]"],
    [certificates({ inlineString: "C" }, {}), "tls_certificates[0].private_key"],
    [certificates({ environmentVariable: "C" }, { inlineString: "K" }), "tls_certificates[0].certificate_chain"],
    [{ ...sds("default"), ...certificates({ filename: "/c" }, { filename: "/k" }) }, "tls_certificates"],
    [
      { ...sds("default"), validationContext: { trustedCa: { inlineString: "no PEM" } } },
      "validation_context.trusted_ca",
    ],
    [{ ...sds("default"), tlsParams: { cipherSuites: ["DES-CBC3-UNKNOWN"] } }, "tls_params.cipher_suites[0]"],
    [{ ...sds("default"), tlsParams: { ecdhCurves: ["X25519", "X448:P-256"] } }, "tls_params.ecdh_curves[1]"],
    [
      { ...sds("default"), validationContext: { trustedCa: { filename: "/ca" }, verifyCertificateHash: ["ab"] } },
      "validation_context.verify_certificate_hash[0]",
    ],
    [
      { ...sds("default"), validationContext: { trustedCa: { filename: "/ca" }, verifyCertificateSpki: ["ab"] } },
      "validation_context.verify_certificate_spki[0]",
    ],
    [{ ...sds("default"), validationContext: { crl: { filename: "/crl" } } }, "validation_context.crl"],
  ];
  assert.equal(
    refusedAt(() => translate({ ...sds("default"), validationContext: { verifyCertificateHash: ["a".repeat(64)] } })),
    common,
    "a hash without a trust bundle",
  );
  for (const [json, path] of refused) assert.equal(refusedAt(() => translate(json)), `${common}.${path}`);
});
