/** Writing chunked bodies (RFC 9112 §7.1). */
import { ascii } from "../characters.ts";
import type { Fields } from "../head.ts";
import { writeKept } from "../field_lines.ts";
import type { ByteQueue } from "../../worker/buffers.ts";

export const lastChunk: Uint8Array = ascii("0\r\n\r\n");

const emptyChunk = ascii("0\r\n");
const digits = ascii("0123456789abcdef");

/** Appends `size` bytes as one chunk; nothing for none, since an empty chunk would end the body. */
export function appendChunk(out: ByteQueue, bytes: Uint8Array, offset: number, size: number): void {
  if (size === 0) return;
  out.reserve(size + 20);
  const target = out.bytes;
  let end = out.end;
  let shift = 28;
  while (shift > 0 && size >>> shift === 0) shift -= 4;
  for (; shift >= 0; shift -= 4) target[end++] = digits[(size >>> shift) & 15];
  target[end++] = 13;
  target[end++] = 10;
  target.set(bytes.subarray(offset, offset + size), end);
  end += size;
  target[end++] = 13;
  target[end++] = 10;
  out.end = end;
}

/** Appends the last chunk and the trailers that go on, without the empty line that ends the body. */
export function appendTrailers(out: ByteQueue, trailers: Fields): void {
  out.appendAll(emptyChunk);
  writeKept(out, trailers);
}
