/** Chains and bundles of certificates in PEM. */
import { decodePem, encodePem } from "../../ca/x509/pem.ts";

/** Each certificate of a text as PEM of its own, written one way, so that equal certificates are equal strings. */
export function certificatesOf(text: string): string[] {
  return decodePem(text, "CERTIFICATE").map((der) => encodePem(der, "CERTIFICATE"));
}

/** The chain without the roots that its readers have anyway. */
export function withoutRoots(chain: string, trustBundle: string): string {
  const roots = certificatesOf(trustBundle);
  return certificatesOf(chain).filter((certificate) => !roots.includes(certificate)).join("");
}
