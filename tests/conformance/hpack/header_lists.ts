/** Header lists as plain names and values, and their way through the encoder and the decoder. */
import { ascii, latin1 } from "../../../agent/decode/characters.ts";
import type { HpackDecoder } from "../../../agent/decode/hpack/hpack_decoder.ts";
import type { HpackEncoder } from "../../../agent/decode/hpack/hpack_encoder.ts";
import { HeaderSink } from "../../../agent/decode/hpack/header_sink.ts";
import type { IndexingPolicy } from "../../../agent/decode/hpack/indexing_policy.ts";
import { ByteQueue, SlabPool } from "../../../agent/worker/buffers.ts";

export type Field = readonly [name: string, value: string];

const pool = new SlabPool();

/** The fields of a list, pseudo-header fields first in a fixed order, the others as they came. */
export function fieldsOf(sink: HeaderSink): Field[] {
  const { bytes, fields } = sink;
  const list: Field[] = [];
  for (const name of ["method", "scheme", "path", "authority", "status", "protocol"] as const) {
    const start = sink[`${name}Start`];
    if (start >= 0) list.push([`:${name}`, latin1(bytes, start, sink[`${name}End`])]);
  }
  for (let i = 0; i < fields.count; i++) {
    list.push([latin1(fields.bytes, fields.nameStart(i), fields.nameEnd(i)), fields.value(i)]);
  }
  return list;
}

/** The same list in the order of {@link fieldsOf}. */
export function pseudoFirst(list: readonly Field[]): Field[] {
  const order = [":method", ":scheme", ":path", ":authority", ":status", ":protocol"];
  const pseudo = list.filter(([name]) => name.startsWith(":"));
  pseudo.sort((a, b) => order.indexOf(a[0]) - order.indexOf(b[0]));
  return [...pseudo, ...list.filter(([name]) => !name.startsWith(":"))];
}

export interface Decoded {
  code: number;
  sink: HeaderSink;
}

/** Decodes a block into a list without limits that matter, unless limits are given. */
export function decodeBlock(
  decoder: HpackDecoder,
  block: Uint8Array,
  limitBytes = 1 << 20,
  limitFields = 100,
): Decoded {
  const sink = new HeaderSink();
  sink.begin(limitBytes, limitFields);
  return { code: decoder.decode(block, 0, block.length, sink), sink };
}

export function encodeList(
  encoder: HpackEncoder,
  list: readonly Field[],
  policyOf: (field: Field) => IndexingPolicy = () => "index",
): Uint8Array {
  const out = new ByteQueue(pool);
  encoder.beginBlock(out);
  for (const field of list) {
    const name = ascii(field[0]);
    const value = Uint8Array.from(field[1], (character) => character.charCodeAt(0));
    encoder.encode(out, name, 0, name.length, value, 0, value.length, policyOf(field));
  }
  const block = out.bytes.slice(out.start, out.end);
  out.clear();
  return block;
}

export function hex(text: string): Uint8Array<ArrayBuffer> {
  const digits = text.replaceAll(" ", "");
  return Uint8Array.from({ length: digits.length / 2 }, (_, i) => Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16));
}
