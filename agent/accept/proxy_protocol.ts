/**
 * The PROXY protocol, versions 1 and 2, as a receiver
 * (https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt): who is at the other end of the proxy before us.
 */
import { latin1 } from "../decode/characters.ts";
import { decodeSocketAddress, encodeSocketAddress } from "../sys/socket_address.ts";

export interface ProxyHeader {
  /** Bytes of the header, which precede those of the connection. */
  length: number;
  /** `address:port` of the caller; `null` where the proxy speaks for itself (LOCAL) or does not say (UNKNOWN). */
  remoteAddress: string | null;
}

/** More bytes are needed; {@link proxyHeaderLength} says how many at least. */
export const PROXY_INCOMPLETE = 0;
/** It does not begin as a header of either version. */
export const NOT_PROXY = 1;
/** It begins as one, and is none. */
export const PROXY_INVALID = 2;

const signature = [0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a];
const textSignature = [...new TextEncoder().encode("PROXY ")];
/** The longest line of version 1, its end included. */
const longestLine = 107;
const fixedLength = 16;
/** Addresses and TLVs of version 2: what no sender needs is refused before it is waited for. */
const longestRest = 4096;
const carriageReturn = 13;
const lineFeed = 10;
const tcpOverIpv4 = 0x11;
const tcpOverIpv6 = 0x21;
/** Length of the addresses by address family. */
const addressLengths: Record<number, number> = { 0: 0, 1: 12, 2: 36, 3: 216 };

/** Parses the header at the start of `bytes`, of which `size` have arrived. Never throws. */
export function parseProxyHeader(
  bytes: Uint8Array,
  size: number,
): ProxyHeader | typeof PROXY_INCOMPLETE | typeof NOT_PROXY | typeof PROXY_INVALID {
  if (size === 0) return PROXY_INCOMPLETE;
  if (beginsWith(bytes, size, signature)) return size < signature.length ? PROXY_INCOMPLETE : parseBinary(bytes, size);
  if (!beginsWith(bytes, size, textSignature)) return NOT_PROXY;
  return parseText(bytes, size);
}

/** How many bytes must have arrived before parsing can say more. */
export function proxyHeaderLength(bytes: Uint8Array, size: number): number {
  if (size < fixedLength || bytes[0] !== signature[0]) return size < fixedLength - 1 ? fixedLength - 1 : size + 1;
  return fixedLength + (bytes[14] << 8 | bytes[15]);
}

function beginsWith(bytes: Uint8Array, size: number, start: number[]): boolean {
  for (let i = 0; i < start.length && i < size; i++) if (bytes[i] !== start[i]) return false;
  return true;
}

function parseText(bytes: Uint8Array, size: number) {
  if (size < textSignature.length) return PROXY_INCOMPLETE;
  const limit = Math.min(size, longestLine);
  let end = textSignature.length;
  while (end < limit && bytes[end] !== lineFeed) end++;
  if (end === limit) return size < longestLine ? PROXY_INCOMPLETE : PROXY_INVALID;
  if (bytes[end - 1] !== carriageReturn) return PROXY_INVALID;
  const fields = latin1(bytes, 0, end - 1).split(" ");
  const length = end + 1;
  if (fields[1] === "UNKNOWN") return { length, remoteAddress: null };
  const [, family, source, destination, sourcePort, destinationPort] = fields;
  if (fields.length !== 6 || (family !== "TCP4" && family !== "TCP6")) return PROXY_INVALID;
  const isIpv6 = family === "TCP6";
  const from = endpoint(source, sourcePort, isIpv6);
  return from === null || endpoint(destination, destinationPort, isIpv6) === null
    ? PROXY_INVALID
    : { length, remoteAddress: from };
}

/** `address:port`, or `null` for what is not exactly an address of this family and a port. */
function endpoint(address: string, port: string, isIpv6: boolean): string | null {
  if (!/^(?:0|[1-9][0-9]{0,4})$/.test(port) || Number(port) > 65535) return null;
  if (address.includes(":") !== isIpv6 || !/^[0-9a-fA-F.:]+$/.test(address)) return null;
  try {
    return text(encodeSocketAddress(address, Number(port)).bytes);
  } catch {
    return null;
  }
}

function parseBinary(bytes: Uint8Array, size: number) {
  if (size < fixedLength) return PROXY_INCOMPLETE;
  const command = bytes[12];
  // Version 2, LOCAL or PROXY.
  if (command !== 0x20 && command !== 0x21) return PROXY_INVALID;
  const family = bytes[13];
  const addressLength = addressLengths[family >> 4];
  const rest = bytes[14] << 8 | bytes[15];
  if (addressLength === undefined || (family & 0xf) > 2 || rest > longestRest) return PROXY_INVALID;
  const length = fixedLength + rest;
  const isLocal = command === 0x20;
  // A receiver must take any addresses with LOCAL, and ignore them.
  if (!isLocal && rest < addressLength) return PROXY_INVALID;
  if (size < length) return PROXY_INCOMPLETE;
  if (isLocal) return { length, remoteAddress: null };
  if (!hasWholeTlvs(bytes, fixedLength + addressLength, length)) return PROXY_INVALID;
  if (family !== tcpOverIpv4 && family !== tcpOverIpv6) {
    // Datagrams do not come here; of a Unix socket there is nothing to tell.
    return (family & 0xf) === 2 ? PROXY_INVALID : { length, remoteAddress: null };
  }
  return { length, remoteAddress: binaryAddress(bytes, family === tcpOverIpv6) };
}

/** Whether type, length and value follow each other up to the end: a length that reaches beyond it is refused. */
function hasWholeTlvs(bytes: Uint8Array, start: number, end: number): boolean {
  let position = start;
  while (position < end) {
    if (end - position < 3) return false;
    const size = bytes[position + 1] << 8 | bytes[position + 2];
    if (size > end - position - 3) return false;
    position += 3 + size;
  }
  return true;
}

function binaryAddress(bytes: Uint8Array, isIpv6: boolean): string {
  const size = isIpv6 ? 16 : 4;
  const address = encodeSocketAddress(isIpv6 ? "::" : "0.0.0.0", 0).bytes;
  address.set(bytes.subarray(fixedLength, fixedLength + size), isIpv6 ? 8 : 4);
  const port = fixedLength + 2 * size;
  address[2] = bytes[port];
  address[3] = bytes[port + 1];
  return text(address);
}

function text(socketAddress: Uint8Array): string {
  const { address, port } = decodeSocketAddress(socketAddress);
  return `${address}:${port}`;
}
