/**
 * What an HTTP/2 field is, as a number that is found once when the field is read and kept with it in the tables:
 * kind (bits 0 to 7), `Known` number (8 to 15), and whether its name or its value makes a message malformed.
 */
import { ascii, COLON, sameBytes, SPACE, TAB, tokenLower, valueByte } from "../characters.ts";
import { Known, knownHeader } from "../known_headers.ts";

export const FieldKind = {
  regular: 0,
  te: 1,
  cookie: 2,
  // From here on pseudo-header fields.
  method: 8,
  path: 9,
  authority: 10,
  scheme: 11,
  status: 12,
  protocol: 13,
  unknownPseudo: 14,
} as const;

export const firstPseudoKind = FieldKind.method;
export const badName = 1 << 16;
export const badValue = 1 << 17;

const pseudoNames: [Uint8Array, number][] = [
  [ascii(":method"), FieldKind.method],
  [ascii(":path"), FieldKind.path],
  [ascii(":authority"), FieldKind.authority],
  [ascii(":scheme"), FieldKind.scheme],
  [ascii(":status"), FieldKind.status],
  [ascii(":protocol"), FieldKind.protocol],
];
const cookie = ascii("cookie");
const trailers = ascii("trailers");

/** The traits that the name from `start` to `end` gives. */
export function traitsOfName(bytes: Uint8Array, start: number, end: number): number {
  if (start === end) return badName;
  if (bytes[start] === COLON) return pseudoKind(bytes, start, end);
  for (let i = start; i < end; i++) {
    const byte = bytes[i];
    // A token in lower case (RFC 9113 §8.2.1).
    if (byte === 0 || tokenLower[byte] !== byte) return badName;
  }
  const id = knownHeader(bytes, start, end);
  switch (id) {
    case Known.other:
      return sameBytes(bytes, start, end - start, cookie) ? FieldKind.cookie : FieldKind.regular;
    case Known.te:
      return FieldKind.te | id << 8;
    // Fields of a connection do not exist in HTTP/2 (RFC 9113 §8.2.2).
    case Known.connection:
    case Known.keepAlive:
    case Known.proxyConnection:
    case Known.transferEncoding:
    case Known.upgrade:
      return FieldKind.regular | id << 8 | badName;
    default:
      return FieldKind.regular | id << 8;
  }
}

function pseudoKind(bytes: Uint8Array, start: number, end: number): number {
  for (let i = 0; i < pseudoNames.length; i++) {
    if (sameBytes(bytes, start, end - start, pseudoNames[i][0])) return pseudoNames[i][1];
  }
  return FieldKind.unknownPseudo | badName;
}

/** The traits of a field whose name has `nameTraits` (those of another value are ignored) and whose value stands there. */
export function traitsOfField(nameTraits: number, bytes: Uint8Array, start: number, end: number): number {
  const traits = nameTraits & ~badValue;
  if (start === end) return (traits & 255) === FieldKind.te ? traits | badValue : traits;
  const first = bytes[start];
  const last = bytes[end - 1];
  if (first === SPACE || first === TAB || last === SPACE || last === TAB) return traits | badValue;
  for (let i = start; i < end; i++) {
    if (valueByte[bytes[i]] === 0) return traits | badValue;
  }
  if ((traits & 255) === FieldKind.te && !isTrailers(bytes, start, end)) return traits | badValue;
  return traits;
}

function isTrailers(bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start !== trailers.length) return false;
  for (let i = 0; i < trailers.length; i++) {
    if (tokenLower[bytes[start + i]] !== trailers[i]) return false;
  }
  return true;
}
