/**
 * A version for bytes: equal bytes give equal text, and different bytes differ but for one case in 2^64.
 *
 * Not for secrets: somebody who may write configuration could construct a collision, and would hide his own change.
 */
export function contentHash(bytes: Uint8Array): string {
  // Two multiplicative lanes of 32 bits with different primes, mixed at the end as MurmurHash3 does.
  let first = 0xdeadbeef ^ bytes.length;
  let second = 0x41c6ce57 ^ bytes.length;
  for (let index = 0; index < bytes.length; index++) {
    const byte = bytes[index];
    first = Math.imul(first ^ byte, 0x9e3779b1);
    second = Math.imul(second ^ byte, 0x5f356495);
    first ^= first >>> 15;
    second ^= second >>> 13;
  }
  first = Math.imul(first ^ (first >>> 16), 0x85ebca6b) ^ Math.imul(second ^ (second >>> 13), 0xc2b2ae35);
  second = Math.imul(second ^ (second >>> 16), 0x85ebca6b) ^ Math.imul(first ^ (first >>> 13), 0xc2b2ae35);
  return hex(first) + hex(second);
}

function hex(word: number): string {
  return (word >>> 0).toString(16).padStart(8, "0");
}
