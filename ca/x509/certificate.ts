/** Reading certificates: whose they are and how long they hold. Nothing here verifies a signature. */
import { parseSpiffeId, type SpiffeId, SpiffeIdError } from "../spiffe/spiffe_id.ts";
import { decodePem } from "./pem.ts";
import * as x509 from "./peculiar.ts";

/** The bytes are not a certificate, or not one that can name a workload. */
export class CertificateError extends Error {
  override name = "CertificateError";
}

export interface CertificateFacts {
  spiffeId: SpiffeId;
  notBefore: Date;
  notAfter: Date;
  /** Lower-case hexadecimal. */
  serialNumber: string;
}

const subjectAltName = "2.5.29.17";

/**
 * What a workload's certificate says.
 *
 * @param certificate PEM (of a chain the first, the leaf) or DER
 * @throws {CertificateError}
 */
export function readCertificate(certificate: string | Uint8Array): CertificateFacts {
  const parsed = parseCertificate(certificate);
  return {
    spiffeId: spiffeIdOf(parsed),
    notBefore: parsed.notBefore,
    notAfter: parsed.notAfter,
    serialNumber: parsed.serialNumber,
  };
}

/** @throws {CertificateError} */
export function spiffeIdOfCertificate(der: Uint8Array): SpiffeId {
  return spiffeIdOf(parseCertificate(der));
}

/**
 * @param certificate PEM (of a chain the first) or DER
 * @throws {CertificateError}
 */
export function parseCertificate(certificate: string | Uint8Array): x509.X509Certificate {
  try {
    const der = typeof certificate === "string" ? decodePem(certificate, "CERTIFICATE")[0] : certificate;
    // A copy: the library keeps views of what it is given, and takes no shared memory.
    if (der !== undefined) return new x509.X509Certificate(new Uint8Array(der));
  } catch (cause) {
    throw new CertificateError("not an X.509 certificate", { cause });
  }
  throw new CertificateError("no PEM block 'CERTIFICATE' found");
}

/** The one SPIFFE identity of a leaf: X509-SVID §2 wants exactly one URI SAN, and §4.1 no authority. */
function spiffeIdOf(certificate: x509.X509Certificate): SpiffeId {
  if (certificate.getExtension(x509.BasicConstraintsExtension)?.ca) {
    throw new CertificateError("the certificate is an authority's, not a workload's");
  }
  const extensions = certificate.getExtensions(subjectAltName);
  if (extensions.length > 1) throw new CertificateError("the certificate repeats its subject alternative names");
  const uris = extensions.flatMap(subjectUris);
  if (uris.length !== 1) {
    throw new CertificateError(`the certificate has ${uris.length} URI names; a workload's has exactly one`);
  }
  try {
    return parseSpiffeId(uris[0]);
  } catch (cause) {
    if (cause instanceof SpiffeIdError) throw new CertificateError(cause.message, { cause });
    throw cause;
  }
}

function subjectUris(extension: x509.Extension): string[] {
  const names = new x509.SubjectAlternativeNameExtension(extension.rawData).names.items;
  return names.filter((name) => name.type === "url").map((name) => name.value);
}
