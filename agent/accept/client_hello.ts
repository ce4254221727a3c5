/** Reads server name and ALPN out of a TLS ClientHello (RFC 8446 §4.1.2, RFC 6066 §3, RFC 7301) before any TLS is done. */
import { latin1 } from "../decode/characters.ts";

export interface ClientHello {
  /** Lower case; empty when none was sent. */
  serverName: string;
  alpn: string[];
}

/** More bytes are needed; {@link clientHelloLength} says how many. */
export const INCOMPLETE = 0;
/** It is no ClientHello. */
export const NOT_TLS = 1;

const handshakeRecord = 22;
const clientHelloType = 1;
/** OpenSSL's own limit is of this size. */
const maximumHello = 16 * 1024;

/**
 * Parses the ClientHello at the start of `bytes`, of which `size` have arrived. Only one that fits a single record is
 * read for its extensions; who splits it over records gets no server name.
 */
export function parseClientHello(bytes: Uint8Array, size: number): ClientHello | typeof INCOMPLETE | typeof NOT_TLS {
  if (size === 0) return INCOMPLETE;
  if (bytes[0] !== handshakeRecord || (size > 1 && bytes[1] !== 3)) return NOT_TLS;
  if (size < 5) return INCOMPLETE;
  const recordLength = bytes[3] << 8 | bytes[4];
  if (recordLength < 4 || recordLength > maximumHello) return NOT_TLS;
  if (size < 5 + recordLength) return INCOMPLETE;
  const hello: ClientHello = { serverName: "", alpn: [] };
  if (bytes[5] !== clientHelloType) return NOT_TLS;
  const end = Math.min(5 + recordLength, 9 + (bytes[6] << 16 | bytes[7] << 8 | bytes[8]));
  // Version and random, then session id, cipher suites, compression methods.
  let i = 9 + 34;
  if (i >= end) return hello;
  i += 1 + bytes[i];
  if (i + 2 > end) return hello;
  i += 2 + (bytes[i] << 8 | bytes[i + 1]);
  if (i + 1 > end) return hello;
  i += 1 + bytes[i];
  if (i + 2 > end) return hello;
  const extensionsEnd = Math.min(end, i + 2 + (bytes[i] << 8 | bytes[i + 1]));
  i += 2;
  while (i + 4 <= extensionsEnd) {
    const type = bytes[i] << 8 | bytes[i + 1];
    const start = i + 4;
    const stop = start + (bytes[i + 2] << 8 | bytes[i + 3]);
    if (stop > extensionsEnd) break;
    if (type === 0) hello.serverName = serverName(bytes, start, stop);
    else if (type === 16) hello.alpn = protocols(bytes, start, stop);
    i = stop;
  }
  return hello;
}

/** How many bytes must have arrived before parsing can say more. */
export function clientHelloLength(bytes: Uint8Array, size: number): number {
  return size < 5 ? 5 : 5 + (bytes[3] << 8 | bytes[4]);
}

/** The first host_name of the list; empty when it has bytes that no host name has. */
function serverName(bytes: Uint8Array, start: number, end: number): string {
  if (start + 5 > end || bytes[start + 2] !== 0) return "";
  const length = bytes[start + 3] << 8 | bytes[start + 4];
  if (start + 5 + length > end || length > 255) return "";
  const name = latin1(bytes, start + 5, start + 5 + length).toLowerCase();
  return /^[a-z0-9._-]+$/.test(name) ? name : "";
}

function protocols(bytes: Uint8Array, start: number, end: number): string[] {
  const list: string[] = [];
  let i = start + 2;
  while (i < end) {
    const length = bytes[i];
    if (i + 1 + length > end) break;
    list.push(latin1(bytes, i + 1, i + 1 + length));
    i += 1 + length;
  }
  return list;
}
