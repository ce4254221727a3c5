import { deepEqual, equal } from "node:assert/strict";
import { HpackDecoder } from "../../../agent/decode/hpack/hpack_decoder.ts";
import { decodeBlock, type Field, fieldsOf, hex, pseudoFirst } from "./header_lists.ts";

interface Example {
  example: string;
  tableSize: number;
  messages: { block: string; fields: Field[] }[];
}

const examples: Example[] = JSON.parse(
  await Deno.readTextFile(new URL("rfc7541_appendix_c.json", import.meta.url)),
);

for (const { example, tableSize, messages } of examples) {
  Deno.test(`RFC 7541 ${example}`, () => {
    const decoder = new HpackDecoder(tableSize);
    for (const { block, fields } of messages) {
      const { code, sink } = decodeBlock(decoder, hex(block));
      equal(code, 0);
      equal(sink.malformed, false);
      deepEqual(fieldsOf(sink), pseudoFirst(fields));
    }
  });
}

Deno.test("RFC 7541 §6.2.3: a field that is never indexed is marked for those who send it on", () => {
  const decoder = new HpackDecoder();
  const { sink } = decodeBlock(decoder, hex("1008 7061 7373 776f 7264 0673 6563 7265 74 0001 61 01 62"));
  deepEqual([...sink.neverIndexed.subarray(0, 2)], [1, 0]);
});
