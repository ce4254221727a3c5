/** A throw-away certificate authority for tests: real certificates, no policy. */
import * as x509 from "../../../ca/x509/peculiar.ts";
import { keyAlgorithm, privateKeyToPem } from "../../../ca/x509/signing_request.ts";
import type { TlsIdentity } from "../ads_stream.ts";

export interface TestAuthority {
  rootPem: string;
  /** A certificate with these names (`uri:…`, `ip:…`) and key; lifetime in milliseconds, an hour by default. */
  issue(name: { type: "url" | "ip"; value: string }, lifetime?: number): Promise<TlsIdentity>;
  /** Signs a request for an identity; the chain in PEM. */
  sign(csrPem: string, uri: string, lifetime: number): Promise<string>;
}

export async function makeTestAuthority(): Promise<TestAuthority> {
  const keys = await crypto.subtle.generateKey(keyAlgorithm, true, ["sign", "verify"]);
  const root = await x509.X509CertificateGenerator.createSelfSigned({
    name: "CN=test root",
    keys,
    signingAlgorithm: keyAlgorithm,
    notBefore: new Date(Date.now() - 60_000),
    notAfter: new Date(Date.now() + 3_600_000),
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
    ],
  });
  const rootPem = `${root.toString("pem")}\n`;
  const certify = async (publicKey: x509.PublicKeyType, name: x509.JsonGeneralName, lifetime: number) => {
    const certificate = await x509.X509CertificateGenerator.create({
      subject: "O=test",
      issuer: root.subject,
      publicKey,
      signingKey: keys.privateKey,
      signingAlgorithm: keyAlgorithm,
      notBefore: new Date(Date.now() - 1000),
      notAfter: new Date(Date.now() + lifetime),
      extensions: [
        new x509.SubjectAlternativeNameExtension([name]),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth]),
      ],
    });
    return `${certificate.toString("pem")}\n`;
  };
  return {
    rootPem,
    async issue(name, lifetime = 3_600_000) {
      const own = await crypto.subtle.generateKey(keyAlgorithm, true, ["sign", "verify"]);
      return {
        certificateChain: await certify(own.publicKey, name, lifetime),
        privateKey: await privateKeyToPem(own.privateKey),
        trustBundle: rootPem,
      };
    },
    sign(csrPem, uri, lifetime) {
      return certify(new x509.Pkcs10CertificateRequest(csrPem).publicKey, { type: "url", value: uri }, lifetime);
    },
  };
}
