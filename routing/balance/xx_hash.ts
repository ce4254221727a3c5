/**
 * XXH64 (https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md), the hash by which Envoy balances. In halves
 * of 32 bits: bigints would cost an allocation for every step.
 */

/** 64 bits as two numbers from 0 to 2^32 - 1. */
export class Hash64 {
  high = 0;
  low = 0;

  /** The remainder of a division; the divisor is at most 2^26. */
  modulo(divisor: number): number {
    return ((this.high % divisor) * (2 ** 32 % divisor) + this.low % divisor) % divisor;
  }

  toString(): string {
    return this.high.toString(16).padStart(8, "0") + this.low.toString(16).padStart(8, "0");
  }
}

const prime1 = [0x9e3779b1, 0x85ebca87] as const;
const prime2 = [0xc2b2ae3d, 0x27d4eb4f] as const;
const prime3 = [0x165667b1, 0x9e3779f9] as const;
const prime4 = [0x85ebca77, 0xc2b2ae63] as const;
const prime5 = [0x27d4eb2f, 0x165667c5] as const;

/** The value that each step below works on. */
let high = 0;
let low = 0;
/** The four lanes, high and low in turn. */
const lanes = new Uint32Array(8);

/** Hashes `bytes` from `start` up to `end` into `out`, which may be the seed as well. */
export function xxHash64(
  bytes: Uint8Array,
  start: number,
  end: number,
  out: Hash64,
  seedHigh = 0,
  seedLow = 0,
): void {
  let at = start;
  if (end - start >= 32) {
    startLanes(seedHigh, seedLow);
    for (; at + 32 <= end; at += 32) {
      for (let lane = 0; lane < 4; lane++) {
        high = lanes[2 * lane];
        low = lanes[2 * lane + 1];
        round(word(bytes, at + 8 * lane + 4), word(bytes, at + 8 * lane));
        lanes[2 * lane] = high;
        lanes[2 * lane + 1] = low;
      }
    }
    mergeLanes();
  } else {
    high = seedHigh;
    low = seedLow;
    add(prime5[0], prime5[1]);
  }
  add(0, end - start);
  for (; at + 8 <= end; at += 8) {
    const beforeHigh = high;
    const beforeLow = low;
    high = low = 0;
    round(word(bytes, at + 4), word(bytes, at));
    xor(beforeHigh, beforeLow);
    rotate(27);
    multiply(prime1[0], prime1[1]);
    add(prime4[0], prime4[1]);
  }
  if (at + 4 <= end) {
    mix(word(bytes, at), prime1);
    rotate(23);
    multiply(prime2[0], prime2[1]);
    add(prime3[0], prime3[1]);
    at += 4;
  }
  for (; at < end; at++) {
    mix(bytes[at], prime5);
    rotate(11);
    multiply(prime1[0], prime1[1]);
  }
  // The avalanche: shifts by 33, 29 and 32.
  low = (low ^ (high >>> 1)) >>> 0;
  multiply(prime2[0], prime2[1]);
  low = (low ^ ((low >>> 29) | (high << 3))) >>> 0;
  high = (high ^ (high >>> 29)) >>> 0;
  multiply(prime3[0], prime3[1]);
  low = (low ^ high) >>> 0;
  out.high = high;
  out.low = low;
}

function startLanes(seedHigh: number, seedLow: number): void {
  for (let lane = 0; lane < 4; lane++) {
    high = seedHigh;
    low = seedLow;
    if (lane === 0) add(prime1[0], prime1[1]);
    if (lane < 2) add(prime2[0], prime2[1]);
    // Minus the prime: plus its two's complement.
    if (lane === 3) add(~prime1[0] >>> 0, -prime1[1] >>> 0);
    lanes[2 * lane] = high;
    lanes[2 * lane + 1] = low;
  }
}

function mergeLanes(): void {
  let sumHigh = 0;
  let sumLow = 0;
  const rotations = [1, 7, 12, 18];
  for (let lane = 0; lane < 4; lane++) {
    high = lanes[2 * lane];
    low = lanes[2 * lane + 1];
    rotate(rotations[lane]);
    add(sumHigh, sumLow);
    sumHigh = high;
    sumLow = low;
  }
  for (let lane = 0; lane < 4; lane++) {
    high = low = 0;
    round(lanes[2 * lane], lanes[2 * lane + 1]);
    xor(sumHigh, sumLow);
    multiply(prime1[0], prime1[1]);
    add(prime4[0], prime4[1]);
    sumHigh = high;
    sumLow = low;
  }
}

/** value = rotate(value + input × prime2, 31) × prime1 */
function round(inputHigh: number, inputLow: number): void {
  const beforeHigh = high;
  const beforeLow = low;
  high = inputHigh;
  low = inputLow;
  multiply(prime2[0], prime2[1]);
  add(beforeHigh, beforeLow);
  rotate(31);
  multiply(prime1[0], prime1[1]);
}

/** value = value ^ (input × prime), the input of 32 bits. */
function mix(input: number, prime: readonly [number, number]): void {
  const beforeHigh = high;
  const beforeLow = low;
  high = 0;
  low = input;
  multiply(prime[0], prime[1]);
  xor(beforeHigh, beforeLow);
}

function xor(otherHigh: number, otherLow: number): void {
  high = (high ^ otherHigh) >>> 0;
  low = (low ^ otherLow) >>> 0;
}

function add(otherHigh: number, otherLow: number): void {
  const sum = low + otherLow;
  high = (high + otherHigh + (sum > 0xffffffff ? 1 : 0)) >>> 0;
  low = sum >>> 0;
}

/** To the left, by 1 to 31 bits. */
function rotate(bits: number): void {
  const before = high;
  high = ((high << bits) | (low >>> (32 - bits))) >>> 0;
  low = ((low << bits) | (before >>> (32 - bits))) >>> 0;
}

function multiply(otherHigh: number, otherLow: number): void {
  const a0 = low & 0xffff;
  const a1 = low >>> 16;
  const b0 = otherLow & 0xffff;
  const b1 = otherLow >>> 16;
  const lowest = a0 * b0;
  const middle = a1 * b0 + a0 * b1 + (lowest >>> 16);
  const upper = a1 * b1 + Math.floor(middle / 0x10000);
  high = (upper + Math.imul(high, otherLow) + Math.imul(low, otherHigh)) >>> 0;
  low = ((middle << 16) | (lowest & 0xffff)) >>> 0;
}

/** Four bytes, the lowest first. */
function word(bytes: Uint8Array, at: number): number {
  return (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)) >>> 0;
}
