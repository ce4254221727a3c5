/**
 * What a peer's certificate must be beyond what the trust bundle vouches for: names that it must carry, and hashes that
 * pin it (Envoy's match_typed_subject_alt_names, verify_certificate_hash and verify_certificate_spki).
 */
import { createHash } from "node:crypto";
import type { PeerRequirements } from "../config/model.ts";
import { ascii } from "../decode/characters.ts";
import { type ByteMatcher, compileMatcher } from "../route/matchers.ts";
import { type CertificateNames, certificateNames } from "./certificate_names.ts";

/** The peer, as the session knows it. */
export interface PeerCertificate {
  /** DER. */
  certificate: Uint8Array;
  /** SubjectPublicKeyInfo as DER; `null` where it cannot be read. */
  publicKey(): Uint8Array | null;
}

export class PeerVerification {
  readonly #requirements: PeerRequirements;
  readonly #matchers: { kind: keyof CertificateNames; matches: ByteMatcher }[];

  constructor(requirements: PeerRequirements) {
    this.#requirements = requirements;
    this.#matchers = (requirements.subjectAltNameMatchers ?? []).map(({ kind, matcher }) => ({
      kind,
      matches: compileMatcher(matcher),
    }));
  }

  /**
   * What is wrong with the peer, in words; empty: nothing. `expectedName`, where it is not empty, is the host that the
   * certificate must be for, in the place of configured names.
   */
  judge(peer: PeerCertificate | null, expectedName = ""): string {
    return this.#judgeNames(peer, expectedName) || this.#judgeHashes(peer);
  }

  #judgeNames(peer: PeerCertificate | null, expectedName: string): string {
    const expected = expectedName === "" ? this.#requirements.subjectAltNames : [expectedName];
    if (expected.length === 0 && this.#matchers.length === 0) return "";
    if (peer === null) return "the peer showed no certificate";
    const names = certificateNames(peer.certificate);
    if (expected.some((name) => carries(names, name))) return "";
    const isMatched = this.#matchers.some(({ kind, matches }) =>
      names[kind].some((name) => {
        const bytes = ascii(name);
        return matches(bytes, 0, bytes.length);
      })
    );
    if (expectedName === "" && isMatched) return "";
    const found = Object.values(names).flat().join(", ") || "none";
    const wanted = expected.join(" or ") || "one that matches";
    return `the peer's names are ${found}, expected ${wanted}`;
  }

  #judgeHashes(peer: PeerCertificate | null): string {
    const { certificateHashes = [], publicKeyHashes = [] } = this.#requirements;
    if (certificateHashes.length === 0 && publicKeyHashes.length === 0) return "";
    if (peer === null) return "the peer showed no certificate";
    if (certificateHashes.includes(createHash("sha256").update(peer.certificate).digest("hex"))) return "";
    const key = publicKeyHashes.length === 0 ? null : peer.publicKey();
    if (key !== null && publicKeyHashes.includes(createHash("sha256").update(key).digest("base64"))) return "";
    return "the peer's certificate is none of those that are pinned";
  }
}

/** Whether the certificate is for this URI, address or host. */
function carries({ uris, dnsNames, addresses }: CertificateNames, name: string): boolean {
  // A SPIFFE identity is the only one that a certificate may have.
  if (name.includes("://")) return uris.length === 1 && uris[0] === name;
  return addresses.includes(name) || dnsNames.some((found) => coversName(found, name));
}

/** RFC 9525 §6.3: a wildcard stands for exactly one label, the first. */
function coversName(found: string, name: string): boolean {
  const [one, other] = [found.toLowerCase(), name.toLowerCase()];
  return one === other ||
    (one.startsWith("*.") && other.includes(".") && one.slice(1) === other.slice(other.indexOf(".")));
}
