/** Certificate signing requests: made by agents, checked by the authority. */
import { formatSpiffeId, type SpiffeId } from "../spiffe/spiffe_id.ts";
import { decodePem, encodePem } from "./pem.ts";
import * as x509 from "./peculiar.ts";

/** What every key pair of this mesh's own is. */
export const keyAlgorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;

/** Why a request was refused; `hint` says what would be right. */
export class SigningRequestError extends Error {
  override name = "SigningRequestError";
  constructor(
    readonly code: "malformed_request" | "bad_signature" | "weak_key" | "foreign_names",
    message: string,
    readonly hint: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

export interface CheckedRequest {
  publicKey: x509.PublicKey;
  /** SHA-256 of the public key (SubjectPublicKeyInfo), hexadecimal. */
  keyFingerprint: string;
}

/** A request with an RSA 4096 key is below 2 KiB. */
const pemLimit = 8 * 1024;
const label = "CERTIFICATE REQUEST";
const subjectAltName = "2.5.29.17";

/** A fresh key pair and a request for `id`; the key never leaves the caller. */
export async function createCertificateSigningRequest(
  id: SpiffeId,
): Promise<{ csrPem: string; privateKeyPem: string }> {
  const keys = await crypto.subtle.generateKey(keyAlgorithm, true, ["sign", "verify"]);
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    name: "",
    keys,
    signingAlgorithm: keyAlgorithm,
    extensions: [new x509.SubjectAlternativeNameExtension([{ type: "url", value: formatSpiffeId(id) }], true)],
  });
  return { csrPem: encodePem(request.rawData, label), privateKeyPem: await privateKeyToPem(keys.privateKey) };
}

/** PKCS#8 in PEM. */
export async function privateKeyToPem(key: CryptoKey): Promise<string> {
  return encodePem(await crypto.subtle.exportKey("pkcs8", key), "PRIVATE KEY");
}

/**
 * Checks that the requester holds the private key, that the key is strong enough, and that the names asked for are
 * none or exactly `id`. Only the public key of a request is ever used: subject and other extensions are ignored.
 *
 * @throws {SigningRequestError}
 */
export async function checkSigningRequest(csrPem: string, id: SpiffeId): Promise<CheckedRequest> {
  const request = parse(csrPem);
  checkKey(request.publicKey);
  checkNames(request, formatSpiffeId(id));
  if (!await request.verify().catch(() => false)) {
    throw new SigningRequestError(
      "bad_signature",
      "the signing request is not signed by its own key",
      "make a new key and a new request",
    );
  }
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", request.publicKey.rawData));
  return { publicKey: request.publicKey, keyFingerprint: digest.toHex() };
}

function parse(csrPem: string): x509.Pkcs10CertificateRequest {
  if (csrPem.length > pemLimit) throw malformed();
  try {
    const requests = decodePem(csrPem, label);
    if (requests.length === 1) return new x509.Pkcs10CertificateRequest(requests[0]);
  } catch (cause) {
    throw malformed(cause);
  }
  throw malformed();
}

function malformed(cause?: unknown): SigningRequestError {
  return new SigningRequestError(
    "malformed_request",
    "not a certificate signing request",
    `send one PKCS#10 request in PEM, at most ${pemLimit} characters`,
    { cause },
  );
}

function checkKey(key: x509.PublicKey): void {
  const { name, namedCurve, modulusLength } = key.algorithm as Algorithm & Partial<EcKeyAlgorithm & RsaKeyAlgorithm>;
  const strong = name === "ECDSA"
    ? namedCurve === "P-256" || namedCurve === "P-384"
    // The upper end bounds what one verification may cost.
    : name.startsWith("RSA") && modulusLength !== undefined && modulusLength >= 2048 && modulusLength <= 8192;
  if (strong) return;
  throw new SigningRequestError(
    "weak_key",
    `keys of type ${name} ${namedCurve ?? modulusLength ?? ""}`.trimEnd() + " are not certified",
    "use P-256, P-384, or RSA with 2048 to 8192 bits",
  );
}

function checkNames(request: x509.Pkcs10CertificateRequest, wanted: string): void {
  const names = requestedNames(request);
  if (names.length === 0 || (names.length === 1 && names[0] === `url:${wanted}`)) return;
  throw new SigningRequestError(
    "foreign_names",
    `the signing request asks for names other than ${wanted}`,
    "leave the subject alternative names out, or ask for the one identity",
  );
}

function requestedNames(request: x509.Pkcs10CertificateRequest): string[] {
  try {
    return request.extensions
      .filter((extension) => extension.type === subjectAltName)
      .flatMap((extension) => new x509.SubjectAlternativeNameExtension(extension.rawData).names.items)
      .map((name) => `${name.type}:${name.value}`);
  } catch (cause) {
    throw malformed(cause);
  }
}
