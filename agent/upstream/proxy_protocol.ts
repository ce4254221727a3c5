/** The PROXY protocol as a sender: tells an upstream host who the caller is. */
import type { DownstreamLink } from "../downstream_stream.ts";
import { encodeSocketAddress } from "../sys/socket_address.ts";

/** The two ends of a caller's connection, as `address:port`. */
export interface CallerAddresses {
  remote: string;
  local: string;
}

export function callerAddresses({ peer, chain: { listener } }: DownstreamLink): CallerAddresses {
  return { remote: peer.remoteAddress, local: `${listener.address}:${listener.port}` };
}

const signature = [0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a];

/**
 * The header for a connection on behalf of this caller. Without a caller, as for pooled connections that serve many, or
 * where its ends are not IP addresses of one family, the header says that the proxy speaks for itself.
 */
export function proxyHeader(version: "V1" | "V2", caller: CallerAddresses | null): Uint8Array<ArrayBuffer> {
  const ends = caller === null ? null : bothEnds(caller);
  return version === "V1" ? textHeader(ends) : binaryHeader(ends);
}

interface End {
  address: string;
  port: number;
  isIpv6: boolean;
  bytes: Uint8Array;
}

function bothEnds({ remote, local }: CallerAddresses): [End, End] | null {
  const [from, to] = [end(remote), end(local)];
  return from === null || to === null || from.isIpv6 !== to.isIpv6 ? null : [from, to];
}

function end(text: string): End | null {
  const colon = text.lastIndexOf(":");
  const address = text.slice(0, Math.max(colon, 0)).replace(/^\[|\]$/g, "");
  const port = Number(text.slice(colon + 1));
  if (address.startsWith("/") || address.startsWith("@")) return null;
  try {
    const { bytes } = encodeSocketAddress(address, port);
    const isIpv6 = address.includes(":");
    return { address, port, isIpv6, bytes: isIpv6 ? bytes.subarray(8, 24) : bytes.subarray(4, 8) };
  } catch {
    return null;
  }
}

function textHeader(ends: [End, End] | null): Uint8Array<ArrayBuffer> {
  if (ends === null) return new TextEncoder().encode("PROXY UNKNOWN\r\n");
  const [from, to] = ends;
  const family = from.isIpv6 ? "TCP6" : "TCP4";
  return new TextEncoder().encode(`PROXY ${family} ${from.address} ${to.address} ${from.port} ${to.port}\r\n`);
}

function binaryHeader(ends: [End, End] | null): Uint8Array<ArrayBuffer> {
  if (ends === null) return new Uint8Array([...signature, 0x20, 0, 0, 0]);
  const [from, to] = ends;
  const ports = [from.port >> 8, from.port & 255, to.port >> 8, to.port & 255];
  const rest = [...from.bytes, ...to.bytes, ...ports];
  return new Uint8Array([...signature, 0x21, from.isIpv6 ? 0x21 : 0x11, 0, rest.length, ...rest]);
}
