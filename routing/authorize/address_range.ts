/** Ranges of IP addresses, of either version, compared bit by bit. */

/** An address range in the form that comparing needs. */
export interface AddressRange {
  /** 4 or 16 bytes. */
  bytes: readonly number[];
  prefix: number;
}

/** Reads an address and the length of its prefix; `null` where the address is none. */
export function addressRange(address: string, prefix: number): AddressRange | null {
  const bytes = addressBytes(address);
  return bytes === null || prefix < 0 || prefix > bytes.length * 8 ? null : { bytes, prefix };
}

/** Whether an address, as text, lies in the range. An IPv4 address mapped into IPv6 is the IPv4 address. */
export function inAddressRange(range: AddressRange, address: string): boolean {
  const bytes = addressBytes(address);
  if (bytes === null || bytes.length !== range.bytes.length) return false;
  for (let bit = 0; bit < range.prefix; bit += 8) {
    const shift = Math.max(0, 8 - (range.prefix - bit));
    if ((bytes[bit / 8] ^ range.bytes[bit / 8]) >> shift !== 0) return false;
  }
  return true;
}

function addressBytes(text: string): number[] | null {
  if (!text.includes(":")) return ipv4Bytes(text);
  const [head, tail, more] = text.split("%")[0].split("::");
  if (more !== undefined) return null;
  const before = groups(head);
  const after = tail === undefined ? [] : groups(tail);
  if (before === null || after === null) return null;
  const missing = 16 - before.length - after.length;
  if (tail === undefined ? missing !== 0 : missing < 0) return null;
  const bytes = [...before, ...Array<number>(missing).fill(0), ...after];
  const isMapped = bytes.slice(0, 10).every((byte) => byte === 0) && bytes[10] === 255 && bytes[11] === 255;
  return isMapped ? bytes.slice(12) : bytes;
}

/** Bytes of `a:b:c`, whose last group may be an IPv4 address. */
function groups(text: string): number[] | null {
  if (text === "") return [];
  const bytes: number[] = [];
  const parts = text.split(":");
  for (const [index, part] of parts.entries()) {
    if (part.includes(".") && index === parts.length - 1) {
      const last = ipv4Bytes(part);
      if (last === null) return null;
      bytes.push(...last);
    } else if (/^[0-9a-fA-F]{1,4}$/.test(part)) {
      const value = Number.parseInt(part, 16);
      bytes.push(value >> 8, value & 255);
    } else return null;
  }
  return bytes;
}

function ipv4Bytes(text: string): number[] | null {
  const parts = text.split(".");
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255)) return null;
  return parts.map(Number);
}
