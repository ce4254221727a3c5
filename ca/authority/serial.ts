/** A random positive serial number of 16 bytes, hexadecimal (RFC 5280 §4.1.2.2 allows 20). */
export function randomSerial(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  // A clear top bit keeps the DER integer positive, a set one below it keeps it at 16 bytes.
  bytes[0] = bytes[0] & 0x7f | 0x40;
  return bytes.toHex();
}
