/**
 * MurmurHash2 with 64 bits as GNU's C++ library computes `std::hash` of a string: Envoy's MURMUR_HASH_2 for rings. Only
 * for building tables.
 */

const multiplier = 0xc6a4a7935bd1e995n;
const standardSeed = 0xc70f6907n;

export function murmurHash2(text: Uint8Array): bigint {
  const size = text.length;
  let hash = standardSeed ^ cut(BigInt(size) * multiplier);
  const aligned = size - size % 8;
  for (let at = 0; at < aligned; at += 8) {
    hash = cut((hash ^ cut(shiftMix(cut(load(text, at, 8) * multiplier)) * multiplier)) * multiplier);
  }
  if (aligned < size) hash = cut((hash ^ load(text, aligned, size - aligned)) * multiplier);
  return shiftMix(cut(shiftMix(hash) * multiplier));
}

function shiftMix(value: bigint): bigint {
  return value ^ (value >> 47n);
}

function cut(value: bigint): bigint {
  return BigInt.asUintN(64, value);
}

/** The lowest byte first. */
function load(bytes: Uint8Array, start: number, count: number): bigint {
  let value = 0n;
  for (let i = count - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[start + i]);
  return value;
}
