/** `struct sockaddr` for IPv4, IPv6 and Unix sockets, to and from text. */

const AF_UNIX = 1;
const AF_INET = 2;
const AF_INET6 = 10;

export interface SocketAddress {
  family: number;
  bytes: Uint8Array<ArrayBuffer>;
}

/**
 * Encodes an IP address and port, or a Unix socket's path (an address that starts with `/`, or with `@` for the
 * abstract namespace).
 *
 * @throws RangeError when the text is neither.
 */
export function encodeSocketAddress(address: string, port: number): SocketAddress {
  if (address.startsWith("/") || address.startsWith("@")) {
    const path = new TextEncoder().encode(address);
    if (path.length > 107) throw new RangeError(`socket path "${address}" is longer than 107 bytes`);
    const bytes = new Uint8Array(2 + path.length + (address[0] === "/" ? 1 : 0));
    new DataView(bytes.buffer).setUint16(0, AF_UNIX, true);
    bytes.set(path, 2);
    if (address[0] === "@") bytes[2] = 0;
    return { family: AF_UNIX, bytes };
  }
  const ipv4 = parseIpv4(address);
  if (ipv4 !== null) {
    const bytes = new Uint8Array(16);
    const view = new DataView(bytes.buffer);
    view.setUint16(0, AF_INET, true);
    view.setUint16(2, port);
    bytes.set(ipv4, 4);
    return { family: AF_INET, bytes };
  }
  const ipv6 = parseIpv6(address);
  if (ipv6 !== null) {
    const bytes = new Uint8Array(28);
    const view = new DataView(bytes.buffer);
    view.setUint16(0, AF_INET6, true);
    view.setUint16(2, port);
    bytes.set(ipv6, 8);
    return { family: AF_INET6, bytes };
  }
  throw new RangeError(`"${address}" is not an IP address nor the path of a Unix socket`);
}

/** `address:port` of a peer (`[…]:port` for IPv6), or `unix`. */
export function decodeSocketAddress(bytes: Uint8Array): { address: string; port: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const family = view.getUint16(0, true);
  if (family === AF_INET) {
    return { address: `${bytes[4]}.${bytes[5]}.${bytes[6]}.${bytes[7]}`, port: view.getUint16(2) };
  }
  if (family === AF_INET6) {
    const groups: string[] = [];
    for (let i = 0; i < 8; i++) groups.push(view.getUint16(8 + 2 * i).toString(16));
    return { address: groups.join(":"), port: view.getUint16(2) };
  }
  return { address: "unix", port: 0 };
}

function parseIpv4(text: string): Uint8Array | null {
  const parts = text.split(".");
  if (parts.length !== 4) return null;
  const bytes = new Uint8Array(4);
  for (let i = 0; i < 4; i++) {
    if (!/^(0|[1-9]\d{0,2})$/.test(parts[i]) || Number(parts[i]) > 255) return null;
    bytes[i] = Number(parts[i]);
  }
  return bytes;
}

function parseIpv6(text: string): Uint8Array | null {
  if (!/^[0-9a-fA-F:.]+$/.test(text) || !text.includes(":")) return null;
  const halves = text.split("::");
  if (halves.length > 2) return null;
  const head = groups(halves[0]);
  const tail = halves.length === 2 ? groups(halves[1]) : [];
  if (head === null || tail === null) return null;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return null;
  const all = [...head, ...new Array<number>(missing).fill(0), ...tail];
  const bytes = new Uint8Array(16);
  all.forEach((group, i) => {
    bytes[2 * i] = group >> 8;
    bytes[2 * i + 1] = group & 255;
  });
  return bytes;
}

function groups(text: string): number[] | null {
  if (text === "") return [];
  const result: number[] = [];
  const parts = text.split(":");
  for (let i = 0; i < parts.length; i++) {
    if (i === parts.length - 1 && parts[i].includes(".")) {
      const ipv4 = parseIpv4(parts[i]);
      if (ipv4 === null) return null;
      result.push(ipv4[0] << 8 | ipv4[1], ipv4[2] << 8 | ipv4[3]);
    } else if (/^[0-9a-fA-F]{1,4}$/.test(parts[i])) {
      result.push(parseInt(parts[i], 16));
    } else return null;
  }
  return result;
}
