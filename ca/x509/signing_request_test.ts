import { equal, match, ok, rejects } from "node:assert/strict";
import { join } from "node:path";
import { temporaryDirectory } from "../testing/directory.ts";
import { openssl } from "../testing/openssl.ts";
import { parseServiceAccount } from "../spiffe/spiffe_id.ts";
import { checkSigningRequest, createCertificateSigningRequest } from "./signing_request.ts";

const reviews = parseServiceAccount("default/bookinfo-reviews", "cluster.local");
const uri = "URI:spiffe://cluster.local/ns/default/sa/bookinfo-reviews";

/** A request made by the openssl program. */
async function opensslRequest(key: string[], ...more: string[]): Promise<string> {
  await using dir = await temporaryDirectory();
  const made = await openssl([
    ...["req", "-new", "-nodes", "-subj", "/CN=anything", "-newkey", ...key],
    ...["-keyout", join(dir.path, "key.pem"), "-out", join(dir.path, "request.pem"), ...more],
  ]);
  ok(made.ok, made.text);
  return await Deno.readTextFile(join(dir.path, "request.pem"));
}

const ec = (curve: string) => ["ec", "-pkeyopt", `ec_paramgen_curve:${curve}`];

Deno.test("OpenSSL verifies our request and reads our key", async () => {
  const { csrPem, privateKeyPem } = await createCertificateSigningRequest(reviews);
  const request = await openssl(["req", "-verify", "-noout", "-text"], csrPem);
  match(request.text, /verify OK/);
  ok(request.text.includes(uri));
  match(privateKeyPem, /^-----BEGIN PRIVATE KEY-----\n/);
  ok((await openssl(["pkey", "-noout"], privateKeyPem)).ok);
  equal((await checkSigningRequest(csrPem, reviews)).keyFingerprint.length, 64);
});

Deno.test("takes OpenSSL's requests for P-256, P-384 and RSA 2048 keys", async () => {
  for (const key of [ec("P-256"), ec("P-384"), ["rsa:2048"]]) {
    await checkSigningRequest(await opensslRequest(key), reviews);
  }
});

Deno.test("takes a request that names exactly the identity", async () => {
  await checkSigningRequest(await opensslRequest(ec("P-256"), "-addext", `subjectAltName=${uri}`), reviews);
});

Deno.test("refuses weak and unusual keys", async () => {
  for (const key of [["rsa:1024"], ec("P-521"), ["ed25519"]]) {
    await rejects(checkSigningRequest(await opensslRequest(key), reviews), { code: "weak_key" });
  }
});

Deno.test("refuses a request for other names, or for more than the identity", async () => {
  for (const names of ["DNS:reviews", `${uri},DNS:reviews`, `${uri},${uri}`, `${uri}x`, "IP:127.0.0.1"]) {
    const request = await opensslRequest(ec("P-256"), "-addext", `subjectAltName=${names}`);
    await rejects(checkSigningRequest(request, reviews), { code: "foreign_names" }, names);
  }
});

Deno.test("refuses a request that its key did not sign", async () => {
  const { csrPem } = await createCertificateSigningRequest(reviews);
  const lines = csrPem.trimEnd().split("\n");
  const der = Uint8Array.fromBase64(lines.slice(1, -1).join(""));
  // The last byte of a request is the last byte of its signature.
  der[der.length - 1] ^= 1;
  const forged = [lines[0], der.toBase64(), lines.at(-1), ""].join("\n");
  await rejects(checkSigningRequest(forged, reviews), { code: "bad_signature" });
});

Deno.test("refuses what is not one request in PEM", async () => {
  const { csrPem, privateKeyPem } = await createCertificateSigningRequest(reviews);
  const broken = csrPem.replace(/\n[^\n]+\n-----END/, "\n-----END");
  for (const text of ["", "hello", privateKeyPem, csrPem + csrPem, broken, csrPem + " ".repeat(9000)]) {
    await rejects(checkSigningRequest(text, reviews), { name: "SigningRequestError", code: "malformed_request" });
  }
});
