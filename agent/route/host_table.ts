/**
 * Finds a virtual host by the request's authority, without making a string of it.
 *
 * Order as in Envoy's `VirtualHost.domains`: exact names, then the longest `*.suffix`, the longest `prefix.*`, `*`.
 */
import { ascii, COLON, sameBytes } from "../decode/characters.ts";

interface Entry<T> {
  name: Uint8Array;
  value: T;
  next: Entry<T> | null;
}

export class HostTable<T> {
  readonly #buckets: (Entry<T> | null)[] = new Array(256).fill(null);
  readonly #suffixes: { name: Uint8Array; value: T }[] = [];
  readonly #prefixes: { name: Uint8Array; value: T }[] = [];
  #any: T | null = null;

  constructor(domains: Iterable<{ domain: string; value: T }>) {
    for (const { domain, value } of domains) {
      const lower = domain.toLowerCase();
      if (lower === "*") this.#any ??= value;
      else if (lower.startsWith("*")) this.#suffixes.push({ name: ascii(lower.slice(1)), value });
      else if (lower.endsWith("*")) this.#prefixes.push({ name: ascii(lower.slice(0, -1)), value });
      else {
        const name = ascii(lower);
        const bucket = hash(name, 0, name.length);
        this.#buckets[bucket] = { name, value, next: this.#buckets[bucket] };
      }
    }
    const longestFirst = (a: { name: Uint8Array }, b: { name: Uint8Array }) => b.name.length - a.name.length;
    this.#suffixes.sort(longestFirst);
    this.#prefixes.sort(longestFirst);
  }

  /** The value for a lower-case authority; a dot at the end of its name does not count. */
  find(bytes: Uint8Array, start: number, end: number): T | null {
    const exact = this.#exact(bytes, start, end);
    if (exact !== null) return exact;
    const bare = withoutTrailingDot(bytes, start, end);
    if (bare === null) return this.#wildcard(bytes, start, end);
    return this.#exact(bare, 0, bare.length) ?? this.#wildcard(bare, 0, bare.length);
  }

  #wildcard(bytes: Uint8Array, start: number, end: number): T | null {
    const length = end - start;
    for (const { name, value } of this.#suffixes) {
      // The wildcard stands for at least one character.
      if (length > name.length && sameBytes(bytes, end - name.length, name.length, name)) return value;
    }
    for (const { name, value } of this.#prefixes) {
      if (length > name.length && sameBytes(bytes, start, name.length, name)) return value;
    }
    return this.#any;
  }

  #exact(bytes: Uint8Array, start: number, end: number): T | null {
    let entry = this.#buckets[hash(bytes, start, end)];
    while (entry !== null) {
      if (sameBytes(bytes, start, end - start, entry.name)) return entry.value;
      entry = entry.next;
    }
    return null;
  }
}

/** The authority without the dot at the end of its name; `null` when it has none. */
function withoutTrailingDot(bytes: Uint8Array, start: number, end: number): Uint8Array | null {
  let nameEnd = end;
  for (let i = end - 1; i > start && (bytes[i] >= 48 && bytes[i] <= 57 || bytes[i] === COLON); i--) {
    if (bytes[i] === COLON) {
      nameEnd = i;
      break;
    }
  }
  if (nameEnd - start < 2 || bytes[nameEnd - 1] !== 46) return null;
  const bare = new Uint8Array(end - start - 1);
  bare.set(bytes.subarray(start, nameEnd - 1));
  bare.set(bytes.subarray(nameEnd, end), nameEnd - 1 - start);
  return bare;
}

/** FNV-1a, folded to a byte. */
function hash(bytes: Uint8Array, start: number, end: number): number {
  let value = 0x811c9dc5;
  for (let i = start; i < end; i++) value = Math.imul(value ^ bytes[i], 0x01000193);
  return (value ^ value >>> 8 ^ value >>> 16) & 255;
}
