import { deepEqual, equal } from "node:assert/strict";
import fc from "fast-check";
import { HpackDecoder } from "../../../agent/decode/hpack/hpack_decoder.ts";
import { HpackEncoder } from "../../../agent/decode/hpack/hpack_encoder.ts";
import type { IndexingPolicy } from "../../../agent/decode/hpack/indexing_policy.ts";
import { staticFields } from "../../../http2/static_fields.ts";
import { decodeBlock, encodeList, type Field, fieldsOf } from "./header_lists.ts";

const names = staticFields.map(([name]) => name).filter((name) => !name.startsWith(":") && name !== "cookie");
const value = fc.oneof(
  fc.constantFrom("", "a", "trailers", "gzip, deflate", "text/html; charset=utf-8"),
  fc.string({
    minLength: 1,
    maxLength: 40,
    unit: fc.integer({ min: 0x21, max: 0x7e }).map((c) => String.fromCharCode(c)),
  }),
  fc.nat(2000).map((length) => "v".repeat(length)),
);
const name = fc.oneof(fc.constantFrom(...names), fc.stringMatching(/^[a-z0-9-]{1,30}$/).filter((n) => n !== "cookie"));
const list = fc.array(fc.tuple(name, value), { maxLength: 20 });
const policies: IndexingPolicy[] = ["index", "index", "plain", "never"];

Deno.test("what the encoder writes the decoder reads, whatever the table's size and its changes", () => {
  const step = fc.record({
    list,
    /** A new SETTINGS_HEADER_TABLE_SIZE before this block. */
    sizes: fc.array(fc.constantFrom(0, 50, 100, 300, 1000, 4096, 65536), { maxLength: 3 }),
    policy: fc.array(fc.nat(3), { minLength: 20, maxLength: 20 }),
  });
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 15 }), (steps) => {
      const encoder = new HpackEncoder();
      const decoder = new HpackDecoder();
      for (const { list, sizes, policy } of steps) {
        for (const size of sizes) {
          decoder.setMaximumTableSize(size);
          encoder.setMaximumTableSize(size);
        }
        let next = 0;
        const { code, sink } = decodeBlock(decoder, encodeList(encoder, list, () => policies[policy[next++]]));
        equal(code, 0);
        deepEqual(fieldsOf(sink), list);
      }
    }),
    { numRuns: 300 },
  );
});

Deno.test("a repeated list shrinks to one or two bytes a field", () => {
  const encoder = new HpackEncoder();
  const request: Field[] = [["user-agent", "curl/8"], ["x-tenant", "blue"], ["accept", "*/*"], ["te", "trailers"]];
  encodeList(encoder, request);
  equal(encodeList(encoder, request).length, 4);
});
