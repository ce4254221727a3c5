/** Character classes of HTTP as 256-entry tables, and ASCII bytes that parsers name. */

export const CR = 13;
export const LF = 10;
export const SPACE = 32;
export const TAB = 9;
export const COLON = 58;
export const COMMA = 44;
export const SLASH = 47;
export const QUESTION = 63;
export const SEMICOLON = 59;

/**
 * For each byte of a token (RFC 9110 §5.6.2) its lower case, 0 for all others. Only ASCII letters fold: names are
 * compared as bytes.
 */
export const tokenLower: Uint8Array = table((code) => {
  const character = String.fromCharCode(code);
  if (code >= 65 && code <= 90) return code + 32;
  return /[!#$%&'*+\-.^_`|~0-9a-z]/.test(character) && code < 128 ? code : 0;
});

/** For each byte that may stand in a token, itself (methods are case-sensitive); 0 for others. */
export const tokenByte: Uint8Array = table((code) => tokenLower[code] === 0 ? 0 : code);

/** 1 for bytes of a field value (RFC 9110 §5.5): visible ASCII, space, tab and what is beyond ASCII. */
export const valueByte: Uint8Array = table((code) => code === 9 || (code >= 32 && code !== 127) ? 1 : 0);

/** 1 for bytes of a request target: visible ASCII without `#` (RFC 9112 §3.2 has no fragment). */
export const targetByte: Uint8Array = table((code) => code > 32 && code < 127 && code !== 35 ? 1 : 0);

/** For each byte of an authority (host, port, IP literal) its lower case; 0 for others: no user information. */
export const authorityLower: Uint8Array = table((code) => {
  if (code >= 65 && code <= 90) return code + 32;
  return code < 128 && /[a-z0-9\-._~!$&'()*+,;=%:\[\]]/.test(String.fromCharCode(code)) ? code : 0;
});

/** Value of a hexadecimal digit, 255 for other bytes. */
export const hexValue: Uint8Array = table((code) => {
  const digit = "0123456789abcdef".indexOf(String.fromCharCode(code).toLowerCase());
  return code < 128 && digit >= 0 ? digit : 255;
});

function table(entry: (code: number) => number): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, code) => entry(code));
}

const encoder = new TextEncoder();

/** Text as bytes. */
export function ascii(text: string): Uint8Array<ArrayBuffer> {
  return encoder.encode(text);
}

/** Whether `size` bytes of `bytes` from `offset` on are `expected`. */
export function sameBytes(bytes: Uint8Array, offset: number, size: number, expected: Uint8Array): boolean {
  if (size !== expected.length) return false;
  for (let i = 0; i < size; i++) {
    if (bytes[offset + i] !== expected[i]) return false;
  }
  return true;
}

/** Bytes as text, one character each: for logs and comparisons off the hot path. */
export function latin1(bytes: Uint8Array, start: number, end: number): string {
  let text = "";
  for (let i = start; i < end; i++) text += String.fromCharCode(bytes[i]);
  return text;
}
