import assert from "node:assert/strict";
import { murmurHash2 } from "./murmur_hash.ts";
import { Hash64, xxHash64 } from "./xx_hash.ts";

const encode = (text: string) => new TextEncoder().encode(text);

function hash(text: string, seed = 0n): string {
  const bytes = encode(text);
  const out = new Hash64();
  xxHash64(bytes, 0, bytes.length, out, Number(seed >> 32n), Number(seed & 0xffffffffn));
  return out.toString();
}

/** Made with the reference implementation. */
const vectors: [string, string, string][] = [
  ["", "ef46db3751d8e999", "51e24c0e9077a48c"],
  ["a", "d24ec4f1a98c6e5b", "63a379f532ba23d4"],
  ["abc", "44bc2cf5ad770999", "1fc03ef74cebaa7d"],
  ["127.0.0.1:9080_0", "6fb9ca2516e5b597", "99a3b309a6660922"],
  ["The quick brown fox jumps over the lazy dog, twice over.", "fb9f56ced8ad4fc4", "dde9f597b9aae104"],
];

for (const [text, unseeded, seeded] of vectors) {
  Deno.test(`XXH64 of ${JSON.stringify(text)} is that of the reference implementation`, () => {
    assert.equal(hash(text), unseeded);
    assert.equal(hash(text, 0x0123456789abcdefn), seeded);
  });
}

Deno.test("a part of a buffer hashes as the same bytes by themselves", () => {
  const bytes = encode("xxxabcyyy");
  const out = new Hash64();
  xxHash64(bytes, 3, 6, out);
  assert.equal(out.toString(), hash("abc"));
});

Deno.test("the remainder is that of the 64 bits as one number", () => {
  const out = new Hash64();
  for (const [high, low] of [[0, 7], [1, 0], [0xffffffff, 0xffffffff], [0x12345678, 0x9abcdef0]]) {
    out.high = high;
    out.low = low;
    const whole = (BigInt(high) << 32n) | BigInt(low);
    for (const divisor of [1, 2, 100, 65537, 5_000_011]) {
      assert.equal(out.modulo(divisor), Number(whole % BigInt(divisor)));
    }
  }
});

Deno.test("Murmur hashes are those of std::hash<std::string> in GNU's C++ library", () => {
  assert.equal(murmurHash2(encode("")), 6142509188972423790n);
  assert.equal(murmurHash2(encode("a")), 4993892634952068459n);
  assert.equal(murmurHash2(encode("foo")), 9631199822919835226n);
  assert.equal(murmurHash2(encode("foobar12")), 772556102711282064n);
  assert.equal(murmurHash2(encode("127.0.0.1:9080_17")), 16830919942130879135n);
});
