import assert from "node:assert/strict";
import type { JsonObject } from "@bufbuild/protobuf";
import { SecretSchema } from "../../../routing/xds/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.ts";
import { translateSecret } from "./secret.ts";
import { message, refusedAt } from "./testdata/envoy_json.ts";

const translate = (json: JsonObject) => translateSecret(message(SecretSchema, { name: "s", ...json }));

Deno.test("translates a certificate with its key, and a trust bundle", () => {
  assert.deepEqual(
    translate({ tlsCertificate: { certificateChain: { inlineString: "C" }, privateKey: { inlineBytes: "Sw==" } } }),
    { name: "s", certificateChain: "C", privateKey: "K", trustBundle: "" },
  );
  assert.deepEqual(
    translate({ validationContext: { trustedCa: { inlineString: "T" } } }),
    { name: "s", certificateChain: "", privateKey: "", trustBundle: "T" },
  );
});

Deno.test("refuses secrets in files, incomplete ones and other kinds, by their paths", () => {
  const refused = (json: JsonObject) => refusedAt(() => translate(json));
  assert.equal(
    refused({ validationContext: { trustedCa: { filename: "/ca" } } }),
    "secret s: validation_context.trusted_ca.filename",
  );
  assert.equal(
    refused({ tlsCertificate: { certificateChain: { inlineString: "C" } } }),
    "secret s: tls_certificate.private_key",
  );
  assert.equal(refused({ genericSecret: {} }), "secret s: generic_secret");
  assert.equal(refused({}), "secret s");
});
