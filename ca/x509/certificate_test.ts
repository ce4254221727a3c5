import { deepEqual, equal, match, throws } from "node:assert/strict";
import { openssl } from "../testing/openssl.ts";
import { CertificateError, readCertificate, spiffeIdOfCertificate } from "./certificate.ts";
import { decodePem, encodePem } from "./pem.ts";
import * as x509 from "./peculiar.ts";
import { keyAlgorithm } from "./signing_request.ts";

const uri = "spiffe://cluster.local/ns/default/sa/bookinfo-reviews";
const id = { trustDomain: "cluster.local", namespace: "default", serviceAccount: "bookinfo-reviews" };
const san = (...uris: string[]) =>
  new x509.SubjectAlternativeNameExtension(uris.map((value) => ({ type: "url" as const, value })), true);

/** A self-signed certificate with these extensions, as DER. */
async function certificate(...extensions: x509.Extension[]): Promise<Uint8Array> {
  const keys = await crypto.subtle.generateKey(keyAlgorithm, true, ["sign", "verify"]);
  const made = await x509.X509CertificateGenerator.createSelfSigned({
    keys,
    signingAlgorithm: keyAlgorithm,
    serialNumber: "0102",
    notBefore: new Date("2026-01-01T00:00:00Z"),
    notAfter: new Date("2026-01-02T00:00:00Z"),
    extensions,
  });
  return new Uint8Array(made.rawData);
}

Deno.test("reads whose a certificate is, how long it holds, and its number, from DER and from PEM", async () => {
  const der = await certificate(san(uri));
  const facts = {
    spiffeId: id,
    notBefore: new Date("2026-01-01T00:00:00Z"),
    notAfter: new Date("2026-01-02T00:00:00Z"),
    serialNumber: "0102",
  };
  deepEqual(readCertificate(der), facts);
  deepEqual(readCertificate(encodePem(der, "CERTIFICATE") + encodePem(await certificate(), "CERTIFICATE")), facts);
  deepEqual(spiffeIdOfCertificate(der), id);
});

Deno.test("reads a certificate that OpenSSL made, with names of other kinds beside the identity", async () => {
  const made = await openssl([
    ...["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "/dev/null", "-subj", "/CN=x"],
    ...["-addext", "basicConstraints=critical,CA:FALSE", "-addext", `subjectAltName=DNS:reviews,URI:${uri}`],
  ]);
  match(made.text, /BEGIN CERTIFICATE/);
  deepEqual(readCertificate(made.text).spiffeId, id);
});

Deno.test("refuses a certificate without one identity that is a workload's", async () => {
  const authority = new x509.BasicConstraintsExtension(true, undefined, true);
  const cases: [Uint8Array, RegExp][] = [
    [await certificate(), /0 URI names/],
    [await certificate(san()), /0 URI names/],
    [await certificate(san(uri, uri)), /2 URI names/],
    [await certificate(san(uri, "https://example.com")), /2 URI names/],
    [await certificate(san(uri), san(uri)), /repeats/],
    [await certificate(san("https://example.com")), /not a workload identity/],
    [await certificate(san(`${uri}\0.evil`)), /not a workload identity/],
    [await certificate(san(`${uri}/`)), /not a workload identity/],
    [await certificate(san(uri), authority), /authority's/],
  ];
  for (const [der, reason] of cases) {
    throws(() => spiffeIdOfCertificate(der), (error) => {
      equal((error as Error).name, "CertificateError");
      match((error as Error).message, reason);
      return true;
    });
  }
});

Deno.test("refuses what is no certificate", async () => {
  const der = await certificate(san(uri));
  for (const bytes of [new Uint8Array(), new Uint8Array([0x30, 0x80]), der.subarray(0, der.length - 1)]) {
    throws(() => spiffeIdOfCertificate(bytes), CertificateError);
  }
  for (
    const pem of ["", "x", encodePem(der, "PRIVATE KEY"), "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----"]
  ) {
    throws(() => readCertificate(pem), CertificateError);
  }
});

Deno.test("PEM reads back what it wrote, block by block of the label asked for", () => {
  const bytes = Uint8Array.from({ length: 100 }, (_, i) => i);
  const text = `a comment\n${encodePem(bytes, "CERTIFICATE")}${encodePem(bytes, "PRIVATE KEY")}`;
  deepEqual(decodePem(text, "CERTIFICATE"), [bytes]);
  deepEqual(decodePem(text.replaceAll("\n", "\r\n"), "PRIVATE KEY"), [bytes]);
  deepEqual(decodePem(text, "X"), []);
});
