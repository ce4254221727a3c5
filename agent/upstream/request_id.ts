/** `x-request-id`: a random UUID (RFC 9562 version 4), written without making a string. */
import { ascii } from "../decode/characters.ts";
import type { ByteQueue } from "../worker/buffers.ts";

const name = ascii("x-request-id: ");
const digits = ascii("0123456789abcdef");
const pool = new Uint8Array(4096);
let used = pool.length;

export function appendRequestId(out: ByteQueue): void {
  if (used === pool.length) {
    crypto.getRandomValues(pool);
    used = 0;
  }
  pool[used + 6] = pool[used + 6] & 0x0f | 0x40;
  pool[used + 8] = pool[used + 8] & 0x3f | 0x80;
  out.reserve(name.length + 38);
  const target = out.bytes;
  let end = out.end;
  for (let i = 0; i < name.length; i++) target[end++] = name[i];
  for (let i = 0; i < 16; i++) {
    if (i === 4 || i === 6 || i === 8 || i === 10) target[end++] = 45;
    const byte = pool[used + i];
    target[end++] = digits[byte >> 4];
    target[end++] = digits[byte & 15];
  }
  target[end++] = 13;
  target[end++] = 10;
  out.end = end;
  used += 16;
}
