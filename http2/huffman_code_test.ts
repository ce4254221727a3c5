import { deepEqual, equal, ok } from "node:assert/strict";
import fc from "fast-check";
import { canonicalCodes, codeLengths, decodeHuffman, largestDecodedLength } from "./huffman_code.ts";

const codes = canonicalCodes();

/** The code of `bytes` as digits, padded with ones. */
function encode(bytes: Iterable<number>): Uint8Array {
  let bits = "";
  for (const byte of bytes) bits += codes[byte].toString(2).padStart(codeLengths[byte], "0");
  bits = bits.padEnd(Math.ceil(bits.length / 8) * 8, "1");
  return Uint8Array.from(bits.match(/.{8}/g) ?? [], (digits) => Number.parseInt(digits, 2));
}

function decode(source: Uint8Array): number[] | null {
  const target = new Uint8Array(largestDecodedLength(source.length) + 1);
  const end = decodeHuffman(source, 0, source.length, target, 0);
  return end < 0 ? null : [...target.subarray(0, end)];
}

Deno.test("the code is that of RFC 7541 Appendix B", () => {
  equal(codes[0], 0x1ff8);
  equal(codes["a".charCodeAt(0)], 0x3);
  equal(codes["~".charCodeAt(0)], 0x1ffd);
  equal(codes[255], 0x3ffffee);
  equal(codes[256], 0x3fffffff);
});

Deno.test("every pair of bytes comes back from its code", () => {
  for (let first = 0; first < 256; first++) {
    for (let second = 0; second < 256; second += 5) {
      deepEqual(decode(encode([first, second])), [first, second]);
    }
  }
});

Deno.test("any bytes come back from their code, within the largest length that is reserved", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
    deepEqual(decode(encode(bytes)), [...bytes]);
  }));
});

Deno.test("what is decoded is the one code of those bytes", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 12 }), (source) => {
      const bytes = decode(source);
      if (bytes !== null) deepEqual(encode(bytes), source);
    }),
    { numRuns: 2000 },
  );
});

Deno.test("the shortest symbols alone fill the largest length", () => {
  const source = encode("0".repeat(400).split("").map((c) => c.charCodeAt(0)));
  ok(decode(source)!.length === largestDecodedLength(source.length));
});
