import { deepEqual, equal, ok } from "node:assert/strict";
import fc from "fast-check";
import { HpackDecoder, HpackError } from "../../../agent/decode/hpack/hpack_decoder.ts";
import { HpackEncoder } from "../../../agent/decode/hpack/hpack_encoder.ts";
import { HeaderSink } from "../../../agent/decode/hpack/header_sink.ts";
import { decodeBlock, encodeList, fieldsOf, hex } from "./header_lists.ts";

/** Blocks that a fresh decoder with a table of 4096 bytes must refuse, with the section that says so. */
const refused: [reason: string, block: string][] = [
  ["§6.1 index 0", "80"],
  ["§2.3.3 index behind the tables", "be"],
  ["§2.3.3 index far behind the tables", "ff80 8001"],
  ["§2.3.3 name index behind the tables", "7e 01 61"],
  ["§2.3.3 name index behind the tables, not indexed", "0f2f 01 61"],
  ["§5.1 integer cut off", "ff"],
  ["§5.1 integer cut off in its continuation", "ff80 80"],
  ["§5.1 integer with continuation without end", "ff80 8080 8080 8080 8080 8080 8001"],
  ["§5.1 integer beyond 32 bits", "ffff ffff ff0f"],
  ["§5.1 integer padded with many zeros", "0001 61 7f80 8080 8000" + "62".repeat(127)],
  ["§5.2 string longer than the block", "0004 616263"],
  ["§5.2 string of two gigabytes", "007f ffff ff07 61"],
  ["§5.2 string length cut off", "007f"],
  ["§6.2 literal without name", "00"],
  ["§6.2 literal without value", "0001 61"],
  ["§6.2 literal with indexed name without value", "44"],
  ["§5.2 EOS in a name", "0084 ffff ffff 0161"],
  ["§5.2 EOS in a value", "0001 61 84 ffff ffff"],
  ["§5.2 EOS behind a symbol", "0001 61 85 1fff ffff ff"],
  ["§5.2 padding of eight bits", "0001 61 82 1fff"],
  ["§5.2 padding of whole bytes", "0001 61 81 ff"],
  ["§5.2 padding of zeros", "0001 61 81 18"],
  ["§5.2 padding of ones and a zero", "0001 61 81 1e"],
  ["§6.3 size update above the limit", "3fe2 1f"],
  ["§6.3 size update cut off", "3f"],
  ["§4.2 size update behind a field", "82 20"],
  ["§4.2 three size updates", "20 20 20 82"],
  ["§4.2 three size updates and back", "20 3fe1 1f 20 82"],
];

for (const [reason, block] of refused) {
  Deno.test(`a block is refused: ${reason}`, () => {
    equal(decodeBlock(new HpackDecoder(), hex(block)).code, HpackError.compression);
  });
}

/** Blocks near those above that are sound. */
const accepted: [reason: string, block: string, fields: [string, string][]][] = [
  ["an empty block", "", []],
  ["size updates alone", "20 3fe1 1f", []],
  ["a size update to the limit", "3fe1 1f 82", [[":method", "GET"]]],
  ["empty strings of both kinds", "0001 61 00 0001 62 80", [["a", ""], ["b", ""]]],
  ["an integer padded with a zero", "0001 61 7f80 00" + "62".repeat(127), [["a", "b".repeat(127)]]],
  ["Huffman code that ends with a byte", "0001 61 85 0842 1084 21", [["a", "11111111"]]],
  ["Huffman code with padding of seven bits", "0001 61 83 0acb 7f", [["a", "1--"]]],
];

for (const [reason, block, fields] of accepted) {
  Deno.test(`a block is read: ${reason}`, () => {
    const { code, sink } = decodeBlock(new HpackDecoder(), hex(block));
    equal(code, 0);
    deepEqual(fieldsOf(sink), fields);
  });
}

Deno.test("a smaller table that we announced must be taken up by the next block", () => {
  const decoder = new HpackDecoder();
  decoder.setMaximumTableSize(100);
  equal(decodeBlock(decoder, hex("82")).code, HpackError.compression);

  const obeyed = new HpackDecoder();
  obeyed.setMaximumTableSize(100);
  obeyed.setMaximumTableSize(4096);
  equal(decodeBlock(obeyed, hex("3f45 3fe1 1f 82")).code, 0);
  equal(decodeBlock(obeyed, hex("82")).code, 0);

  const tooLarge = new HpackDecoder();
  tooLarge.setMaximumTableSize(100);
  tooLarge.setMaximumTableSize(4096);
  equal(decodeBlock(tooLarge, hex("3fe1 1f 82")).code, HpackError.compression);
});

/** A block that puts `name: vvv…` of 4 KiB into the table, and one that refers to it `count` times. */
function bomb(count: number): [fill: Uint8Array, burst: Uint8Array] {
  const fill = encodeList(new HpackEncoder(), [["x-bomb", "v".repeat(4096 - 32 - 6)]]);
  return [fill, new Uint8Array(count).fill(0x80 | 62)];
}

Deno.test("a block of references to a large entry stops at the limit and costs no more memory than it", () => {
  const decoder = new HpackDecoder();
  const [fill, burst] = bomb(4096);
  const sink = new HeaderSink();
  sink.begin(65536, 100);
  equal(decoder.decode(fill, 0, fill.length, sink), 0);
  sink.begin(65536, 100);
  equal(decoder.decode(burst, 0, burst.length, sink), HpackError.headersTooLarge);
  equal(sink.size, 4096 * 4096);
  equal(sink.fields.count, 16);
  ok(sink.bytes.length <= 131072);

  // The table is in step: the next block reads as ever.
  sink.begin(65536, 100);
  equal(decoder.decode(burst, 0, 1, sink), 0);
  equal(sink.fields.count, 1);
});

Deno.test("fields beyond the limit still enter the table", () => {
  const encoder = new HpackEncoder();
  const decoder = new HpackDecoder();
  const list = Array.from({ length: 20 }, (_, i) => [`x-${i}`, `value ${i}`] as const);
  const first = decodeBlock(decoder, encodeList(encoder, list), 65536, 5);
  equal(first.code, HpackError.headersTooLarge);
  equal(first.sink.fields.count, 5);
  const second = decodeBlock(decoder, encodeList(encoder, list));
  equal(second.code, 0);
  deepEqual(fieldsOf(second.sink), list);
});

Deno.test("the size of a list counts 32 bytes a field, pseudo-header fields and cookie crumbs too", () => {
  const block = encodeList(new HpackEncoder(), [[":method", "GET"], ["cookie", "a=1"], ["cookie", "b=2"]]);
  const size = (7 + 3 + 32) + 2 * (6 + 3 + 32);
  equal(decodeBlock(new HpackDecoder(), block, size).code, 0);
  equal(decodeBlock(new HpackDecoder(), block, size - 1).code, HpackError.headersTooLarge);
  equal(decodeBlock(new HpackDecoder(), block, size, 3).code, 0);
  equal(decodeBlock(new HpackDecoder(), block, size, 2).code, HpackError.headersTooLarge);
});

Deno.test("evicting a table over and over again keeps it small", () => {
  const decoder = new HpackDecoder();
  const sink = new HeaderSink();
  // Each literal has a name and value of one byte: 124 entries fit.
  const block = new Uint8Array(5 * 4000);
  for (let i = 0; i < 4000; i++) block.set([0x40, 1, 0x61, 1, 0x30 + i % 10], 5 * i);
  for (let round = 0; round < 20; round++) {
    sink.begin(1 << 20, 100);
    equal(decoder.decode(block, 0, block.length, sink), HpackError.headersTooLarge);
  }
  const oldest = 61 + Math.floor(4096 / 34);
  equal(decodeBlock(decoder, Uint8Array.of(0xff, oldest - 127)).code, 0);
  equal(decodeBlock(decoder, Uint8Array.of(0xff, oldest + 1 - 127)).code, HpackError.compression);
});

Deno.test("any bytes are decoded or refused, never thrown at, and leave no more than the limit", () => {
  const decoder = new HpackDecoder();
  const sink = new HeaderSink();
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(20), (bytes, lead) => {
      const block = new Uint8Array(bytes.length + lead);
      block.set(bytes, lead);
      sink.begin(1000, 10);
      const code = decoder.decode(block, lead, block.length, sink);
      ok(code === 0 || code === HpackError.compression || code === HpackError.headersTooLarge);
      ok(sink.end <= 1000 && sink.fields.count <= 10);
      ok(code !== 0 || (sink.size <= 1000 && !sink.tooLarge));
    }),
    { numRuns: 3000 },
  );
});

Deno.test("a block that is cut anywhere is refused or reads as a list's beginning", () => {
  const list = [["user-agent", "curl/8"], ["x-tenant", "blue"], ["accept", "*/*"], ["te", "trailers"]] as const;
  const block = encodeList(new HpackEncoder(), list);
  const lengths = new Set<number>();
  for (let end = 0; end <= block.length; end++) {
    const { code, sink } = decodeBlock(new HpackDecoder(), block.subarray(0, end));
    if (code !== 0) continue;
    deepEqual(fieldsOf(sink), list.slice(0, sink.fields.count));
    lengths.add(sink.fields.count);
  }
  deepEqual([...lengths], [0, 1, 2, 3, 4]);
});
