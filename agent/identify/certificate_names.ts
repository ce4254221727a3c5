/**
 * Reads the alternative names out of a peer's certificate (RFC 5280 §4.2.1.6), in the data thread: once per connection, a few
 * hundred bytes, without a certificate library in every thread. The chain has been verified by OpenSSL before.
 */

/** OID 2.5.29.17, subjectAltName. */
const subjectAltName = [0x55, 0x1d, 0x11];
const SEQUENCE = 0x30;
const OBJECT_IDENTIFIER = 0x06;
const OCTET_STRING = 0x04;
const EXTENSIONS = 0xa3;
const URI_NAME = 0x86;
const DNS_NAME = 0x82;
const EMAIL_NAME = 0x81;
const ADDRESS_NAME = 0x87;

/** A DER element. */
export interface Element {
  tag: number;
  /** Content, from start to end. */
  start: number;
  end: number;
}

export interface CertificateNames {
  uris: string[];
  dnsNames: string[];
  emails: string[];
  /** IPv4 in dots, IPv6 in eight groups without leading zeros. */
  addresses: string[];
}

/** The subject alternative names of a DER certificate; empty lists when it has none or is not well formed. */
export function certificateNames(der: Uint8Array): CertificateNames {
  const names: CertificateNames = { uris: [], dnsNames: [], emails: [], addresses: [] };
  const certificate = element(der, 0, der.length);
  const toBeSigned = certificate && element(der, certificate.start, certificate.end);
  if (!toBeSigned) return names;
  const wrapper = children(der, toBeSigned).find((child) => child.tag === EXTENSIONS);
  const extensions = wrapper && element(der, wrapper.start, wrapper.end);
  if (!extensions) return names;
  for (const extension of children(der, extensions)) {
    const parts = children(der, extension);
    const oid = parts[0];
    const value = parts.at(-1);
    if (oid?.tag !== OBJECT_IDENTIFIER || value?.tag !== OCTET_STRING || !isSubjectAltName(der, oid)) continue;
    const list = element(der, value.start, value.end);
    if (list?.tag !== SEQUENCE) continue;
    for (const name of children(der, list)) {
      if (name.tag === URI_NAME) names.uris.push(ia5(der, name));
      else if (name.tag === DNS_NAME) names.dnsNames.push(ia5(der, name));
      else if (name.tag === EMAIL_NAME) names.emails.push(ia5(der, name));
      else if (name.tag === ADDRESS_NAME) names.addresses.push(...ipAddress(der.subarray(name.start, name.end)));
    }
  }
  return names;
}

/**
 * The SPIFFE identity of a certificate: its one URI name (SPIFFE X.509-SVID §2), which must be `spiffe://` and plain
 * printable ASCII; the empty string otherwise.
 */
export function spiffePrincipal(der: Uint8Array): string {
  const { uris } = certificateNames(der);
  if (uris.length !== 1) return "";
  // Control bytes (NUL above all), spaces, quotes and commas never appear in an identity that we vouch for.
  return /^spiffe:\/\/[a-z0-9._-]+(\/[A-Za-z0-9._-]+)+$/.test(uris[0]) ? uris[0] : "";
}

function isSubjectAltName(der: Uint8Array, oid: Element): boolean {
  return oid.end - oid.start === subjectAltName.length &&
    subjectAltName.every((byte, i) => der[oid.start + i] === byte);
}

function ipAddress(bytes: Uint8Array): string[] {
  if (bytes.length === 4) return [bytes.join(".")];
  if (bytes.length !== 16) return [];
  return [Array.from({ length: 8 }, (_, i) => (bytes[2 * i] << 8 | bytes[2 * i + 1]).toString(16)).join(":")];
}

function ia5(der: Uint8Array, name: Element): string {
  return String.fromCharCode(...der.subarray(name.start, Math.min(name.end, name.start + 2048)));
}

/** The elements within one; none where they are not well formed. */
export function children(der: Uint8Array, parent: Element): Element[] {
  const result: Element[] = [];
  let position = parent.start;
  while (position < parent.end) {
    const child = element(der, position, parent.end);
    if (child === null) return [];
    result.push(child);
    position = child.end;
  }
  return result;
}

/** The element that starts at `position`; `null` when it does not fit before `limit`. */
export function element(der: Uint8Array, position: number, limit: number): Element | null {
  if (position + 2 > limit) return null;
  const tag = der[position];
  let length = der[position + 1];
  let start = position + 2;
  if (length > 127) {
    const bytes = length & 127;
    if (bytes === 0 || bytes > 4 || start + bytes > limit) return null;
    length = 0;
    for (let i = 0; i < bytes; i++) length = length * 256 + der[start + i];
    start += bytes;
  }
  return start + length > limit ? null : { tag, start, end: start + length };
}
