/** What a listener's TLS context may demand and offer, from xDS to what a client meets. */
import assert from "node:assert/strict";
import { createHash, X509Certificate } from "node:crypto";
import type { JsonObject } from "@bufbuild/protobuf";
import { client, TestRoot } from "./tls_certificates.ts";
import { Edge, sds } from "./tls_edge.ts";
import { echo, TcpServer } from "./tcp_peers.ts";

const own = (name: string) => ["-cert", `${name}.pem`, "-key", `${name}.key`];

/** An edge whose credential `shop` is there, and a root of clients. */
async function open(root: TestRoot, backend: TcpServer): Promise<Edge> {
  const edge = await Edge.open(root, backend.port);
  await edge.credential("shop", "shop");
  return edge;
}

const certificate = { tlsCertificateSdsSecretConfigs: [sds("kubernetes://shop")] };

Deno.test("clients are held to names, hashes of certificates and of keys, and revocation lists", async () => {
  await using root = await TestRoot.make();
  await using backend = new TcpServer(echo);
  await using edge = await open(root, backend);
  const one = await root.issue("one", "DNS:one.example,email:one@example,IP:192.0.2.1");
  await root.issue("two", "URI:spiffe://cluster.local/ns/default/sa/two");
  const x509 = new X509Certificate(one.certificate);
  const key = x509.publicKey.export({ type: "spki", format: "der" });
  const pem = (text: string) => ({ inlineString: text });
  const required = (context: JsonObject) => ({
    common: { ...certificate, validationContext: { trustedCa: pem(root.certificate), ...context } },
    more: { requireClientCertificate: true },
  });
  const named = (sanType: string, matcher: JsonObject) =>
    required({ matchTypedSubjectAltNames: [{ sanType, matcher }] });
  const crl = await Deno.readTextFile(await root.revocationList("two"));
  await edge.listen({
    dns: named("DNS", { exact: "one.example" }),
    suffix: named("DNS", { suffix: ".example" }),
    email: named("EMAIL", { exact: "one@example" }),
    address: named("IP_ADDRESS", { exact: "192.0.2.1" }),
    uri: named("URI", { prefix: "spiffe://cluster.local/ns/default/" }),
    nobody: named("URI", { safeRegex: { regex: "spiffe://other/.*" } }),
    hash: required({ verifyCertificateHash: [x509.fingerprint256] }),
    key: required({ verifyCertificateSpki: [createHash("sha256").update(key).digest("base64")] }),
    revoked: required({ crl: pem(crl) }),
  });
  const sees = async (name: string) =>
    `${await edge.sees(name, ...own("one"))} ${await edge.sees(name, ...own("two"))}`;
  for (const name of ["dns", "suffix", "email", "address", "hash", "key", "revoked"]) {
    assert.equal(await sees(name), "shop refused", name);
  }
  assert.equal(await sees("uri"), "refused shop");
  assert.equal(await sees("nobody"), "refused refused");
});

Deno.test("versions, cipher suites and groups are those that are configured", async () => {
  await using root = await TestRoot.make();
  await using backend = new TcpServer(echo);
  await using edge = await open(root, backend);
  const aes256 = "ECDHE-ECDSA-AES256-GCM-SHA384";
  await edge.listen({
    open: { common: certificate },
    suites: { common: { ...certificate, tlsParams: { cipherSuites: [aes256] } } },
    equals: {
      common: { ...certificate, tlsParams: { cipherSuites: [`[${aes256}|ECDHE-ECDSA-CHACHA20-POLY1305]`] } },
    },
    groups: { common: { ...certificate, tlsParams: { ecdhCurves: ["P-384"] } } },
    new: { common: { ...certificate, tlsParams: { tlsMinimumProtocolVersion: "TLSv1_3" } } },
    old: { common: { ...certificate, tlsParams: { tlsMaximumProtocolVersion: "TLSv1_2" } } },
  });
  const negotiated = async (name: string, ...args: string[]) => {
    const said = await client(root, edge.port, ["-servername", name, ...args]);
    return /^New, (TLSv1\.[23]), Cipher is (\S+)/m.exec(said)?.slice(1).join(" ") ?? "refused";
  };
  const version12 = (suite: string) => ["-tls1_2", "-cipher", suite];
  const aes128 = "ECDHE-ECDSA-AES128-GCM-SHA256";
  assert.equal(await negotiated("open", ...version12("ALL")), `TLSv1.2 ${aes128}`);
  // No forward secrecy, no authenticated encryption: not by default.
  assert.equal(await negotiated("open", ...version12("ECDHE-ECDSA-AES128-SHA256")), "refused");
  assert.equal(await negotiated("suites", ...version12("ALL")), `TLSv1.2 ${aes256}`);
  assert.equal(await negotiated("suites", ...version12(aes128)), "refused");
  assert.equal(
    await negotiated("equals", ...version12("ECDHE-ECDSA-CHACHA20-POLY1305")),
    "TLSv1.2 ECDHE-ECDSA-CHACHA20-POLY1305",
  );
  assert.match(await negotiated("groups", "-groups", "P-384"), /^TLSv1\.3/);
  assert.equal(await negotiated("groups", "-groups", "X25519"), "refused");
  // Cheap for a client to ask for, dear for a server to answer.
  assert.equal(await negotiated("open", "-groups", "ffdhe8192"), "refused");
  assert.equal(await negotiated("new", "-tls1_2"), "refused");
  assert.match(await negotiated("new"), /^TLSv1\.3/);
  assert.equal(await negotiated("old", "-tls1_3"), "refused");
  assert.match(await negotiated("old"), /^TLSv1\.2/);
});

Deno.test("of certificates with keys of different types each client gets what it can verify", async () => {
  await using root = await TestRoot.make();
  await using backend = new TcpServer(echo);
  await using edge = await open(root, backend);
  const rsa = await root.issue("rsa", "DNS:shop", "rsa");
  await edge.write("shop-rsa/tls.crt", rsa.certificate);
  await edge.write("shop-rsa/tls.key", rsa.privateKey);
  await edge.listen({
    shop: { common: { tlsCertificateSdsSecretConfigs: [sds("kubernetes://shop"), sds("kubernetes://shop-rsa")] } },
  });
  assert.equal(await edge.sees("shop"), "shop");
  assert.equal(await edge.sees("shop", "-sigalgs", "ECDSA+SHA256"), "shop");
  assert.equal(await edge.sees("shop", "-sigalgs", "RSA-PSS+SHA256:ECDSA+SHA384"), "rsa");
});
