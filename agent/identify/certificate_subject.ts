/** The subject of a peer's certificate as text (RFC 2253, as OpenSSL's `XN_FLAG_RFC2253` and so Envoy write it). */
import { children, type Element, element } from "./certificate_names.ts";

const VERSION = 0xa0;
/** Subject's place among the fields of a certificate after its version: serial, algorithm, issuer, validity, subject. */
const subjectPlace = 4;

/** Short names of attribute types by their object identifiers in hexadecimal. */
const shortNames: Readonly<Record<string, string>> = {
  "550403": "CN",
  "550404": "SN",
  "550405": "serialNumber",
  "550406": "C",
  "550407": "L",
  "550408": "ST",
  "550409": "street",
  "55040a": "O",
  "55040b": "OU",
  "55040c": "title",
  "55042a": "GN",
  "0992268993f22c640101": "UID",
  "0992268993f22c640119": "DC",
  "2a864886f70d010901": "emailAddress",
};

/** The last part first; empty where there is no subject or the certificate is not well formed. */
export function certificateSubject(der: Uint8Array): string {
  const certificate = element(der, 0, der.length);
  const toBeSigned = certificate && element(der, certificate.start, certificate.end);
  if (!toBeSigned) return "";
  const fields = children(der, toBeSigned).filter(({ tag }) => tag !== VERSION);
  const subject = fields[subjectPlace];
  if (subject === undefined) return "";
  const parts = children(der, subject).reverse();
  return parts.map((set) => children(der, set).reverse().map((pair) => attribute(der, pair)).join("+")).join(",");
}

function attribute(der: Uint8Array, pair: Element): string {
  const [type, value] = children(der, pair);
  if (type === undefined || value === undefined) return "";
  const oid = der.subarray(type.start, type.end);
  const name = shortNames[[...oid].map((byte) => byte.toString(16).padStart(2, "0")).join("")] ?? dotted(oid);
  return `${name}=${escaped(der.subarray(value.start, value.end))}`;
}

/** RFC 2253 §2.4, with everything that is not printable ASCII as `\XX`: such bytes must not reach a header. */
function escaped(bytes: Uint8Array): string {
  let text = "";
  bytes.forEach((byte, i) => {
    const character = String.fromCharCode(byte);
    const atEdge = character === " " && (i === 0 || i === bytes.length - 1) || character === "#" && i === 0;
    if (byte < 32 || byte > 126) text += "\\" + byte.toString(16).toUpperCase().padStart(2, "0");
    else text += atEdge || ',+"\\<>;'.includes(character) ? "\\" + character : character;
  });
  return text;
}

function dotted(oid: Uint8Array): string {
  const numbers: number[] = [];
  let value = 0;
  for (const byte of oid) {
    value = value * 128 + (byte & 127);
    if (byte > 127) continue;
    if (numbers.length === 0) {
      const first = Math.min(Math.floor(value / 40), 2);
      numbers.push(first, value - first * 40);
    } else numbers.push(value);
    value = 0;
  }
  return numbers.join(".");
}
