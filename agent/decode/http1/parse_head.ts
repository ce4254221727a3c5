/**
 * Strict parsing of HTTP/1.1 message heads (RFC 9112 §2 to §5) in place, without allocation: header names and
 * authorities are lower-cased where they stand. What two recipients might read differently is refused.
 */
import {
  authorityLower,
  COLON,
  CR,
  LF,
  QUESTION,
  SLASH,
  SPACE,
  TAB,
  targetByte,
  tokenByte,
  tokenLower,
  valueByte,
} from "../characters.ts";
import type { Fields, RequestHead, ResponseHead } from "../head.ts";
import { Known, knownHeader } from "../known_headers.ts";

/** What the parsers return instead of the number of bytes that the head takes. */
export const ParseResult = {
  /** The head is not complete. */
  needMore: 0,
  badRequest: -400,
  headersTooLarge: -431,
  notImplemented: -501,
  versionNotSupported: -505,
} as const;

const { needMore, badRequest, headersTooLarge, versionNotSupported } = ParseResult;

/** Parses a request head that starts at `start`; returns its length or a {@link ParseResult}. */
export function parseRequestHead(bytes: Uint8Array, start: number, end: number, head: RequestHead): number {
  let i = start;
  // RFC 9112 §2.2: an empty line before the request line is ignored.
  if (i < end && bytes[i] === CR) {
    if (i + 1 === end) return needMore;
    if (bytes[i + 1] === LF) i += 2;
  }

  head.methodStart = i;
  while (i < end && tokenByte[bytes[i]] !== 0) i++;
  if (i === end) return i - start > 64 ? badRequest : needMore;
  if (bytes[i] !== SPACE || i === head.methodStart) return badRequest;
  head.methodEnd = i++;

  const targetStart = i;
  while (i < end && targetByte[bytes[i]] === 1) i++;
  if (i === end) return needMore;
  // HTTP/0.9 has no version behind the target.
  if (bytes[i] !== SPACE || i === targetStart) return badRequest;
  const targetEnd = i++;

  if (end - i < 10) return i < end && bytes[i] !== 72 /* H */ ? badRequest : needMore;
  // "HTTP/"
  if (bytes[i] !== 72 || bytes[i + 1] !== 84 || bytes[i + 2] !== 84 || bytes[i + 3] !== 80 || bytes[i + 4] !== SLASH) {
    return badRequest;
  }
  const digitsAreVersion = bytes[i + 5] >= 48 && bytes[i + 5] <= 57 && bytes[i + 6] === 46 && bytes[i + 7] >= 48 &&
    bytes[i + 7] <= 57;
  if (!digitsAreVersion || bytes[i + 8] !== CR || bytes[i + 9] !== LF) return badRequest;
  if (bytes[i + 5] !== 49 || bytes[i + 7] > 49) return versionNotSupported;
  head.minorVersion = bytes[i + 7] - 48;
  i += 10;

  const length = parseFields(bytes, i, end, head.fields);
  if (length <= 0) return length;
  const problem = readTarget(bytes, targetStart, targetEnd, head);
  return problem !== 0 ? problem : i + length - start;
}

/** Parses a response head; returns its length or a {@link ParseResult}. */
export function parseResponseHead(bytes: Uint8Array, start: number, end: number, head: ResponseHead): number {
  if (end - start < 13) return needMore;
  let i = start;
  if (bytes[i] !== 72 || bytes[i + 1] !== 84 || bytes[i + 2] !== 84 || bytes[i + 3] !== 80 || bytes[i + 4] !== SLASH) {
    return badRequest;
  }
  if (bytes[i + 5] !== 49 || bytes[i + 6] !== 46 || bytes[i + 7] < 48 || bytes[i + 7] > 49 || bytes[i + 8] !== SPACE) {
    return badRequest;
  }
  head.minorVersion = bytes[i + 7] - 48;
  const hundreds = bytes[i + 9] - 48;
  const tens = bytes[i + 10] - 48;
  const ones = bytes[i + 11] - 48;
  if (hundreds < 1 || hundreds > 9 || tens < 0 || tens > 9 || ones < 0 || ones > 9) return badRequest;
  head.status = hundreds * 100 + tens * 10 + ones;
  i += 12;
  // The space before an absent reason phrase is often left out too.
  if (bytes[i] === SPACE) {
    i++;
    while (i < end && valueByte[bytes[i]] === 1) i++;
  }
  if (end - i < 2) return needMore;
  if (bytes[i] !== CR || bytes[i + 1] !== LF) return badRequest;
  i += 2;
  const length = parseFields(bytes, i, end, head.fields);
  return length <= 0 ? length : i + length - start;
}

/**
 * Parses field lines up to and with the empty line that ends them (a head's, or a chunked body's trailers); returns
 * their length or a {@link ParseResult}.
 */
export function parseFields(bytes: Uint8Array, start: number, end: number, fields: Fields): number {
  fields.clear();
  let i = start;
  for (;;) {
    if (i >= end) return needMore;
    if (bytes[i] === CR) {
      if (i + 1 >= end) return needMore;
      return bytes[i + 1] === LF ? i + 2 - start : badRequest;
    }
    const nameStart = i;
    for (;;) {
      if (i >= end) return needMore;
      const lower = tokenLower[bytes[i]];
      if (lower === 0) break;
      bytes[i++] = lower;
    }
    // Space before the colon, an obsolete fold (a line that starts with space) and an empty name all end here.
    if (bytes[i] !== COLON || i === nameStart) return badRequest;
    const nameEnd = i++;
    while (i < end && (bytes[i] === SPACE || bytes[i] === TAB)) i++;
    const valueStart = i;
    while (i < end && valueByte[bytes[i]] === 1) i++;
    if (i + 1 >= end) return i < end && bytes[i] !== CR ? badRequest : needMore;
    // NUL, other control characters and bare CR or LF end here.
    if (bytes[i] !== CR || bytes[i + 1] !== LF) return badRequest;
    let valueEnd = i;
    while (valueEnd > valueStart && (bytes[valueEnd - 1] === SPACE || bytes[valueEnd - 1] === TAB)) valueEnd--;
    i += 2;
    if (!fields.add(knownHeader(bytes, nameStart, nameEnd), nameStart, nameEnd, valueStart, valueEnd)) {
      return headersTooLarge;
    }
  }
}

/** Sets path and authority from the target's form (RFC 9112 §3.2) and Host; 0 or an error. */
function readTarget(bytes: Uint8Array, start: number, end: number, head: RequestHead): number {
  const fields = head.fields;
  const host = fields.first[Known.host];
  // RFC 9112 §3.2: exactly one Host, but HTTP/1.0 may do without.
  if (fields.occurrences[Known.host] > 1 || (host < 0 && head.minorVersion === 1)) return badRequest;
  if (host >= 0) {
    head.authorityStart = fields.valueStart(host);
    head.authorityEnd = fields.valueEnd(host);
    if (!lowerAuthority(bytes, head.authorityStart, head.authorityEnd)) return badRequest;
  } else head.authorityStart = head.authorityEnd = start;

  if (isConnect(head)) {
    // Authority form, and no other (RFC 9112 §3.2.3): it has no path, so no route but one for CONNECT matches it.
    if (!lowerAuthority(bytes, start, end) || !hasPort(bytes, start, end)) return badRequest;
    head.authorityStart = start;
    head.authorityEnd = end;
    head.pathStart = head.pathEnd = end;
  } else if (bytes[start] === SLASH) {
    head.pathStart = start;
    head.pathEnd = end;
  } else if (end - start === 1 && bytes[start] === 42 /* * */) {
    head.pathStart = start;
    head.pathEnd = end;
  } else {
    const authority = afterScheme(bytes, start, end);
    if (authority < 0) return badRequest;
    let slash = authority;
    while (slash < end && bytes[slash] !== SLASH && bytes[slash] !== QUESTION) slash++;
    if (slash === authority || (slash < end && bytes[slash] === QUESTION)) return badRequest;
    if (!lowerAuthority(bytes, authority, slash)) return badRequest;
    // Whom the target names must be whom Host names: else the next hop could see another host than was judged.
    if (host >= 0 && !sameRange(bytes, authority, slash, head.authorityStart, head.authorityEnd)) return badRequest;
    head.authorityStart = authority;
    head.authorityEnd = slash;
    if (slash === end) {
      // "http://host": the path is "/", for which the scheme's first byte makes room.
      bytes[start] = SLASH;
      head.pathStart = start;
      head.pathEnd = start + 1;
    } else {
      head.pathStart = slash;
      head.pathEnd = end;
    }
  }
  let query = head.pathStart;
  while (query < head.pathEnd && bytes[query] !== QUESTION) query++;
  head.queryStart = query;
  return 0;
}

/** Whether the method is CONNECT. */
export function isConnect({ fields: { bytes }, methodStart: m, methodEnd }: RequestHead): boolean {
  return methodEnd - m === 7 && bytes[m] === 67 && bytes[m + 1] === 79 && bytes[m + 2] === 78 &&
    bytes[m + 3] === 78 && bytes[m + 4] === 69 && bytes[m + 5] === 67 && bytes[m + 6] === 84;
}

/** Whether an authority ends with a port, as that of a CONNECT must (RFC 9110 §9.3.6). */
export function hasPort(bytes: Uint8Array, start: number, end: number): boolean {
  let i = end;
  while (i > start && bytes[i - 1] >= 48 && bytes[i - 1] <= 57) i--;
  return i < end && i - 1 > start && bytes[i - 1] === COLON;
}

/** Position behind `http://` or `https://`, -1 when the target starts otherwise. */
function afterScheme(bytes: Uint8Array, start: number, end: number): number {
  const isHttp = end - start > 7 && (bytes[start] | 32) === 104 && (bytes[start + 1] | 32) === 116 &&
    (bytes[start + 2] | 32) === 116 && (bytes[start + 3] | 32) === 112;
  if (!isHttp) return -1;
  const i = (bytes[start + 4] | 32) === 115 ? start + 5 : start + 4;
  return bytes[i] === COLON && bytes[i + 1] === SLASH && bytes[i + 2] === SLASH ? i + 3 : -1;
}

function lowerAuthority(bytes: Uint8Array, start: number, end: number): boolean {
  for (let i = start; i < end; i++) {
    const lower = authorityLower[bytes[i]];
    if (lower === 0) return false;
    bytes[i] = lower;
  }
  return true;
}

function sameRange(bytes: Uint8Array, aStart: number, aEnd: number, bStart: number, bEnd: number): boolean {
  if (aEnd - aStart !== bEnd - bStart) return false;
  for (let i = 0; i < aEnd - aStart; i++) {
    if (bytes[aStart + i] !== bytes[bStart + i]) return false;
  }
  return true;
}
