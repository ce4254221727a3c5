/** Field lines (`name: value\r\n`) as they are written, to a head or on their way to a header block. */
import type { ByteQueue } from "../worker/buffers.ts";
import { ascii } from "./characters.ts";
import type { Fields } from "./head.ts";

export const lineEnd: Uint8Array = ascii("\r\n");
const contentLength = ascii("content-length: ");

/**
 * Writes the fields that are not dropped. Neighbours stand side by side in the buffer as `name: value` lines with
 * lower-case names, so that a run of them is one copy.
 */
export function writeKept(out: ByteQueue, fields: Fields): void {
  const { count, dropped, bytes } = fields;
  let i = 0;
  while (i < count) {
    if (dropped[i] !== 0) {
      i++;
      continue;
    }
    const first = i;
    while (i < count && dropped[i] === 0) i++;
    const start = fields.nameStart(first);
    const end = fields.valueEnd(i - 1);
    out.append(bytes, start, end - start);
    out.appendAll(lineEnd);
  }
}

export function appendContentLength(out: ByteQueue, length: number): void {
  out.appendAll(contentLength);
  out.appendDecimal(length);
  out.appendAll(lineEnd);
}
