/** Header lines as HTTP/1.1 has them into a header block. */
import type { ByteQueue } from "../../worker/buffers.ts";
import { COLON, CR } from "../characters.ts";
import { indexingPolicy } from "../hpack/indexing_policy.ts";
import type { HpackEncoder } from "../hpack/hpack_encoder.ts";

/** Encodes `name: value\r\n` lines, from `from` on, as they stand in `lines`. */
export function appendLines(encoder: HpackEncoder, block: ByteQueue, lines: ByteQueue, from = lines.start): void {
  const { bytes, end } = lines;
  let position = from;
  while (position < end) {
    const nameStart = position;
    while (bytes[position] !== COLON) position++;
    const nameEnd = position;
    position += bytes[position + 1] === 32 ? 2 : 1;
    const valueStart = position;
    while (bytes[position] !== CR) position++;
    const policy = indexingPolicy(bytes, nameStart, nameEnd, position - valueStart);
    encoder.encode(block, bytes, nameStart, nameEnd, bytes, valueStart, position, policy);
    position += 2;
  }
}
