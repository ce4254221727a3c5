/** The Connection header (RFC 9110 §7.6.1): whether the connection persists, and which fields are for this hop only. */
import { ascii, COMMA, SPACE, TAB } from "./characters.ts";
import type { Fields } from "./head.ts";
import { Known } from "./known_headers.ts";

/** Fields that a proxy never forwards: they are about the connection they came on. */
const hopByHop = [
  Known.connection,
  Known.keepAlive,
  Known.proxyConnection,
  Known.transferEncoding,
  Known.contentLength,
  Known.upgrade,
  Known.te,
];

const keepAlive = ascii("keep-alive");

/** Whether the sender keeps the connection open: HTTP/1.1 unless it says `close`, 1.0 only with `keep-alive`. */
export function keepsAlive(fields: Fields, minorVersion: number): boolean {
  if (!fields.has(Known.connection) || isKeepAlive(fields)) return minorVersion === 1 || fields.has(Known.connection);
  if (hasOption(fields, "close")) return false;
  return minorVersion === 1 || hasOption(fields, "keep-alive");
}

/** Marks as dropped what is for this hop only: the well-known fields and those that Connection nominates. */
export function dropHopByHop(fields: Fields): void {
  if (fields.has(Known.connection) && !isKeepAlive(fields)) dropNominated(fields);
  for (let i = 0; i < hopByHop.length; i++) fields.drop(hopByHop[i]);
}

/** Whether Connection is exactly `keep-alive`, as most servers write it: nothing else needs to be looked for then. */
function isKeepAlive(fields: Fields): boolean {
  if (fields.occurrences[Known.connection] !== 1) return false;
  const index = fields.first[Known.connection];
  const start = fields.valueStart(index);
  if (fields.valueEnd(index) - start !== keepAlive.length) return false;
  for (let i = 0; i < keepAlive.length; i++) {
    if ((fields.bytes[start + i] | 32) !== keepAlive[i] && fields.bytes[start + i] !== keepAlive[i]) return false;
  }
  return true;
}

/** Whether Connection lists `option` (lower case). */
export function hasOption(fields: Fields, option: string): boolean {
  let found = false;
  eachOption(fields, (start, end) => {
    if (end - start !== option.length) return;
    for (let i = 0; i < option.length; i++) {
      if ((fields.bytes[start + i] | 32) !== option.charCodeAt(i)) return;
    }
    found = true;
  });
  return found;
}

function dropNominated(fields: Fields): void {
  eachOption(fields, (start, end) => {
    for (let i = 0; i < fields.count; i++) {
      const name = fields.nameStart(i);
      if (fields.nameEnd(i) - name !== end - start) continue;
      let same = true;
      for (let j = 0; same && j < end - start; j++) same = fields.bytes[name + j] === lower(fields.bytes[start + j]);
      if (same) fields.dropped[i] = 1;
    }
  });
}

function eachOption(fields: Fields, visit: (start: number, end: number) => void): void {
  const bytes = fields.bytes;
  for (let i = fields.first[Known.connection]; i < fields.count; i++) {
    if (fields.ids[i] !== Known.connection) continue;
    const end = fields.valueEnd(i);
    let start = fields.valueStart(i);
    while (start < end) {
      while (start < end && isSeparator(bytes[start])) start++;
      let stop = start;
      while (stop < end && !isSeparator(bytes[stop])) stop++;
      if (stop > start) visit(start, stop);
      start = stop;
    }
  }
}

function isSeparator(byte: number): boolean {
  return byte === COMMA || byte === SPACE || byte === TAB;
}

function lower(byte: number): number {
  return byte >= 65 && byte <= 90 ? byte | 32 : byte;
}
