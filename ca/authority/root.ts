/** The mesh's root: a key and its self-signed certificate. */
import { keyAlgorithm, privateKeyToPem } from "../x509/signing_request.ts";
import { parseCertificate } from "../x509/certificate.ts";
import { decodePem, encodePem } from "../x509/pem.ts";
import * as x509 from "../x509/peculiar.ts";
import { AuthorityError } from "./authority_error.ts";
import { randomSerial } from "./serial.ts";

export interface Root {
  certificate: x509.X509Certificate;
  privateKey: CryptoKey;
}

/** The root as it lies on disk. */
export interface RootPem {
  certificate: string;
  privateKey: string;
}

const day = 24 * 60 * 60 * 1000;
/** Ten years, as Istio's self-signed root. */
const rootLifetime = 3650 * day;
/** Clocks of agents may be this far behind. */
export const clockSkew = 60_000;

/** A new P-256 key and a certificate for it, valid for ten years. */
export async function makeRoot(trustDomain: string, now: number): Promise<RootPem> {
  const keys = await crypto.subtle.generateKey(keyAlgorithm, true, ["sign", "verify"]);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: [{ O: [trustDomain] }],
    keys,
    signingAlgorithm: keyAlgorithm,
    serialNumber: randomSerial(),
    notBefore: new Date(now - clockSkew),
    notAfter: new Date(now + rootLifetime),
    extensions: [
      new x509.BasicConstraintsExtension(true, 1, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return {
    certificate: encodePem(certificate.rawData, "CERTIFICATE"),
    privateKey: await privateKeyToPem(keys.privateKey),
  };
}

/**
 * Reads a root and proves that it can serve as one now.
 *
 * @param place directory for messages
 * @throws {AuthorityError}
 */
export async function readRoot(pem: RootPem, place: string, now: number): Promise<Root> {
  const restore = `restore ${place} from a backup; without it every agent must join again`;
  let certificate: x509.X509Certificate;
  let privateKey: CryptoKey;
  try {
    certificate = parseCertificate(pem.certificate);
  } catch (cause) {
    throw new AuthorityError("root_damaged", `no certificate can be read from ${place}/cert.pem`, restore, { cause });
  }
  try {
    const [der] = decodePem(pem.privateKey, "PRIVATE KEY");
    privateKey = await crypto.subtle.importKey("pkcs8", der, keyAlgorithm, false, ["sign"]);
  } catch (cause) {
    throw new AuthorityError("root_damaged", `no P-256 key can be read from ${place}/key.pem`, restore, { cause });
  }
  if (!await signs(privateKey, certificate)) {
    throw new AuthorityError("root_mismatch", `key and certificate in ${place} do not belong together`, restore);
  }
  if (!certificate.getExtension(x509.BasicConstraintsExtension)?.ca) {
    throw new AuthorityError("root_damaged", `the certificate in ${place} is not an authority's`, restore);
  }
  checkRootIsCurrent(certificate, now);
  return { certificate, privateKey };
}

/** @throws {AuthorityError} `root_expired` */
export function checkRootIsCurrent(certificate: x509.X509Certificate, now: number): void {
  if (now < certificate.notAfter.getTime()) return;
  throw new AuthorityError(
    "root_expired",
    `the root certificate expired at ${certificate.notAfter.toISOString()}`,
    "check the clock; else move the directory ca aside, restart, and let every agent join again",
  );
}

/** A signature made with the key must verify with the certificate's key. */
async function signs(privateKey: CryptoKey, certificate: x509.X509Certificate): Promise<boolean> {
  const probe = crypto.getRandomValues(new Uint8Array(32));
  try {
    const signature = await crypto.subtle.sign(keyAlgorithm, privateKey, probe);
    const publicKey = await certificate.publicKey.export(keyAlgorithm, ["verify"]);
    return await crypto.subtle.verify(keyAlgorithm, publicKey, signature, probe);
  } catch {
    return false;
  }
}
