import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { SecretSchema } from "../xds/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.ts";
import { compileSecret } from "./secrets.ts";
import { json, node } from "./testing/mesh.ts";

const envoy = node({ software: { kind: "envoy", secretDirectory: "/s", credentialDirectory: "/c" } });

/** The files that a secret names. */
function files(name: string): string[] {
  const { tlsCertificate, validationContext } = json(SecretSchema, compileSecret(name, envoy));
  return tlsCertificate === undefined
    ? [validationContext.trustedCa.filename]
    : [tlsCertificate.certificateChain.filename, tlsCertificate.privateKey.filename];
}

Deno.test("a stock Envoy is told in which of its files each secret is", () => {
  deepStrictEqual(files("default"), ["/s/identity.pem", "/s/identity.pem"]);
  deepStrictEqual(files("ROOTCA"), ["/s/root-cert.pem"]);
  deepStrictEqual(files("file-cert:/a.pem~/b.pem"), ["/a.pem", "/b.pem"]);
  deepStrictEqual(files("file-root:/roots.pem"), ["/roots.pem"]);
  deepStrictEqual(files("file-root:system"), ["/etc/ssl/certs/ca-certificates.crt"]);
  deepStrictEqual(files("kubernetes://shop"), ["/c/shop/tls.crt", "/c/shop/tls.key"]);
  deepStrictEqual(files("kubernetes://shop-cacert"), ["/c/shop-cacert/ca.crt"]);
});

Deno.test("there is no secret of a name that leads elsewhere, nor for agents, who have theirs", () => {
  for (const name of ["kubernetes://../x", "kubernetes://a/b", "file-cert:/a.pem", "unknown", ""]) {
    strictEqual(compileSecret(name, envoy), undefined, name);
  }
  strictEqual(compileSecret("default", node()), undefined);
  strictEqual(compileSecret("default", node({ software: { kind: "grpc" } })), undefined);
});
