/** Which fields are worth a place in the dynamic table, and which must not get one. */
import { ascii, sameBytes } from "../characters.ts";

/**
 * How a field is sent: `index`, from the table and into it where that pays; `plain`, without the table; `never`, which
 * also binds those who forward it (RFC 7541 §6.2.3).
 */
export type IndexingPolicy = "index" | "plain" | "never";

/**
 * Secrets that are short enough to be guessed one by one from compressed sizes (RFC 7541 §7.1.3), with the length from
 * which they are not: a session's cookie or a signed token pays for its place.
 */
const secrets: { name: Uint8Array; safeLength: number }[] = [
  { name: ascii("cookie"), safeLength: 20 },
  { name: ascii("set-cookie"), safeLength: 20 },
  { name: ascii("authorization"), safeLength: 64 },
  { name: ascii("proxy-authorization"), safeLength: 64 },
];

/** The policy for a field that has no other: `index`, but `never` for short secrets. */
export function indexingPolicy(
  bytes: Uint8Array,
  nameStart: number,
  nameEnd: number,
  valueLength: number,
): IndexingPolicy {
  const length = nameEnd - nameStart;
  // Lengths of the names above: most other fields are told by their length alone.
  if (length !== 6 && length !== 10 && length !== 13 && length !== 19) return "index";
  for (let i = 0; i < secrets.length; i++) {
    const { name, safeLength } = secrets[i];
    if (valueLength < safeLength && sameBytes(bytes, nameStart, length, name)) return "never";
  }
  return "index";
}

const highestCredit = 16;
const creditOfHit = 4;
const firstCredit = 4;
const missesUntilRetry = 64;

/**
 * Learns by name whether values repeat. A field that is new every time (an id, a date on a quiet connection) would push
 * useful ones out of the table and cost two copies each: after a few misses it is inserted only now and then.
 */
export class IndexingHistory {
  readonly #credit: Int8Array<ArrayBuffer> = new Int8Array(64).fill(firstCredit);

  /** A value of the name with this hash was found in the table. */
  hit(nameHash: number): void {
    const at = nameHash & 63;
    this.#credit[at] = Math.min(highestCredit, Math.max(0, this.#credit[at]) + creditOfHit);
  }

  /** It was not found: whether to insert it. */
  insertAfterMiss(nameHash: number): boolean {
    const at = nameHash & 63;
    const credit = this.#credit[at];
    this.#credit[at] = credit > -missesUntilRetry ? credit - 1 : 1;
    return credit > 0;
  }
}
