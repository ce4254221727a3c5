/**
 * Encoding of header blocks (RFC 7541) into a connection's output. Strings go out as they are: with a table of what
 * repeats, the Huffman code would save few bytes and cost more time than all the rest.
 */
import type { ByteQueue } from "../../worker/buffers.ts";
import { ascii } from "../characters.ts";
import { DynamicTable, EntryField, entryFields, entryOverhead } from "./dynamic_table.ts";
import { IndexingHistory, type IndexingPolicy } from "./indexing_policy.ts";
import { staticFields } from "../../../http2/static_fields.ts";
import { staticBytes, staticCount, staticEntries, staticNameIndex } from "./static_table.ts";

/** Our table is not larger, whatever the peer allows. */
const largestTable = 4096;
const bucketCount = 64;
/** Entries of one hash that are compared at most: more miss, they do not slow down. */
const longestChain = 8;
/** Integers, lengths and the first byte of a field take no more than this beside its bytes. */
const fieldOverhead = 16;

const methodName = ascii(":method");
const pathName = ascii(":path");
const authorityName = ascii(":authority");
const protocolName = ascii(":protocol");
const connect = ascii("CONNECT");
const statusName = ascii(":status");
/** The digits of a status that is being written. */
const digits = new Uint8Array(3);

/** Static indexes with a value (RFC 7541 Appendix A). */
const StaticIndex = { get: 2, post: 3, root: 4, http: 6, https: 7, status: 8 } as const;

/** For each static name index the number of further entries of that name, as only some have values. */
const sameNameCount: Uint8Array = Uint8Array.from(
  [0, ...staticFields.map(([name]) => staticFields.filter((field) => field[0] === name).length)],
);
const statusIndex = new Uint8Array(1000);
staticFields.forEach(([name, value], index) => {
  if (name === ":status") statusIndex[Number(value)] = index + 1;
});

export class HpackEncoder {
  readonly #table = new DynamicTable(largestTable);
  readonly #history = new IndexingHistory();
  /** Number of the newest entry with a hash of name and value, and of name alone; -1 for none. */
  readonly #byField: Int32Array<ArrayBuffer> = new Int32Array(bucketCount).fill(-1);
  readonly #byName: Int32Array<ArrayBuffer> = new Int32Array(bucketCount).fill(-1);
  /** The smallest table size since the last block, which the next block tells first (RFC 7541 §4.2). */
  #smallestSize = largestTable;
  #toldSize = largestTable;

  /** Sets the table size that the peer's SETTINGS_HEADER_TABLE_SIZE allows; the next block tells the change. */
  setMaximumTableSize(size: number): void {
    const used = Math.min(size, largestTable);
    this.#smallestSize = Math.min(this.#smallestSize, used);
    this.#table.resize(used);
  }

  /**
   * Begins a header block. What is encoded from here on must reach the peer, in this order: the tables of both sides
   * run in step.
   */
  beginBlock(out: ByteQueue): void {
    const size = this.#table.maximumSize;
    if (this.#smallestSize === this.#toldSize && size === this.#toldSize) return;
    out.reserve(fieldOverhead);
    if (this.#smallestSize < size) writeInteger(out, this.#smallestSize, 0x1f, 0x20);
    writeInteger(out, size, 0x1f, 0x20);
    this.#toldSize = this.#smallestSize = size;
  }

  /** Encodes `:status`, 100 to 999. */
  encodeStatus(out: ByteQueue, status: number): void {
    const index = statusIndex[status];
    if (index !== 0) {
      this.#encodeStatic(out, index);
      return;
    }
    digits[0] = 48 + (status / 100 | 0);
    digits[1] = 48 + (status / 10 | 0) % 10;
    digits[2] = 48 + status % 10;
    this.encode(out, statusName, 0, statusName.length, digits, 0, 3, "index");
  }

  encodeMethod(out: ByteQueue, bytes: Uint8Array, start: number, end: number): void {
    const first = bytes[start];
    // GET and POST.
    if (end - start === 3 && first === 71 && bytes[start + 1] === 69 && bytes[start + 2] === 84) {
      this.#encodeStatic(out, StaticIndex.get);
    } else if (
      end - start === 4 && first === 80 && bytes[start + 1] === 79 && bytes[start + 2] === 83 && bytes[start + 3] === 84
    ) {
      this.#encodeStatic(out, StaticIndex.post);
    } else this.encode(out, methodName, 0, methodName.length, bytes, start, end, "index");
  }

  /** Encodes `:method` and `:protocol` of a request for another protocol (RFC 8441 §4). */
  encodeExtendedConnect(out: ByteQueue, protocol: string): void {
    const value = ascii(protocol);
    this.encode(out, methodName, 0, methodName.length, connect, 0, connect.length, "index");
    this.encode(out, protocolName, 0, protocolName.length, value, 0, value.length, "index");
  }

  encodeScheme(out: ByteQueue, scheme: "http" | "https"): void {
    this.#encodeStatic(out, scheme === "http" ? StaticIndex.http : StaticIndex.https);
  }

  encodePath(out: ByteQueue, bytes: Uint8Array, start: number, end: number): void {
    if (end - start === 1 && bytes[start] === 47) this.#encodeStatic(out, StaticIndex.root);
    else this.encode(out, pathName, 0, pathName.length, bytes, start, end, "index");
  }

  encodeAuthority(out: ByteQueue, bytes: Uint8Array, start: number, end: number): void {
    this.encode(out, authorityName, 0, authorityName.length, bytes, start, end, "index");
  }

  /** Encodes a field; its name is in lower case. */
  encode(
    out: ByteQueue,
    nameBytes: Uint8Array,
    nameStart: number,
    nameEnd: number,
    valueBytes: Uint8Array,
    valueStart: number,
    valueEnd: number,
    policy: IndexingPolicy,
  ): void {
    const table = this.#table;
    const nameLength = nameEnd - nameStart;
    const valueLength = valueEnd - valueStart;
    out.reserve(nameLength + valueLength + fieldOverhead);
    const nameHash = sampledHash(nameBytes, nameStart, nameLength, 0);
    let fieldHash = 0;
    if (policy === "index") {
      fieldHash = sampledHash(valueBytes, valueStart, valueLength, nameHash);
      const age = this.#findField(fieldHash, nameBytes, nameStart, nameLength, valueBytes, valueStart, valueLength);
      if (age >= 0) {
        this.#history.hit(nameHash);
        writeInteger(out, staticCount + 1 + age, 0x7f, 0x80);
        return;
      }
    }

    let nameIndex = staticNameIndex(nameBytes, nameStart, nameEnd);
    if (nameIndex === 0) {
      const age = this.#findName(nameHash, nameBytes, nameStart, nameLength);
      if (age >= 0) nameIndex = staticCount + 1 + age;
    } else if (policy === "index" && valueLength > 0) {
      const index = findStaticValue(nameIndex, valueBytes, valueStart, valueLength);
      if (index !== 0) {
        writeInteger(out, index, 0x7f, 0x80);
        return;
      }
    }

    const indexed = policy === "index" && nameLength + valueLength + entryOverhead <= table.maximumSize &&
      this.#history.insertAfterMiss(nameHash);
    if (indexed) writeInteger(out, nameIndex, 0x3f, 0x40);
    else writeInteger(out, nameIndex, 0x0f, policy === "never" ? 0x10 : 0);
    if (nameIndex === 0) {
      writeInteger(out, nameLength, 0x7f, 0);
      out.append(nameBytes, nameStart, nameLength);
    }
    writeInteger(out, valueLength, 0x7f, 0);
    out.append(valueBytes, valueStart, valueLength);

    if (!indexed) return;
    const entry = table.insert(nameBytes, nameStart, nameLength, valueBytes, valueStart, valueLength, 0);
    const number = (table.inserted - 1) | 0;
    const fieldBucket = fieldHash & (bucketCount - 1);
    const nameBucket = nameHash & (bucketCount - 1);
    table.entries[entry + EntryField.nextField] = this.#byField[fieldBucket];
    table.entries[entry + EntryField.nextName] = this.#byName[nameBucket];
    this.#byField[fieldBucket] = number;
    this.#byName[nameBucket] = number;
  }

  #encodeStatic(out: ByteQueue, index: number): void {
    out.reserve(1);
    out.bytes[out.end++] = 0x80 | index;
  }

  /** Age of the entry with this name and value, -1 when there is none. */
  #findField(
    hash: number,
    nameBytes: Uint8Array,
    nameStart: number,
    nameLength: number,
    valueBytes: Uint8Array,
    valueStart: number,
    valueLength: number,
  ): number {
    const table = this.#table;
    const { entries, bytes } = table;
    let number = this.#byField[hash & (bucketCount - 1)];
    for (let step = 0; step < longestChain; step++) {
      // An evicted entry ends the chain: those behind it are older. Numbers may wrap around.
      const age = (table.inserted - 1 - number) | 0;
      if (age < 0 || age >= table.count) return -1;
      const entry = table.entry(age);
      if (
        entries[entry + EntryField.valueLength] === valueLength && entries[entry + EntryField.nameLength] === nameLength
      ) {
        const line = entries[entry + EntryField.lineStart];
        if (
          sameRange(bytes, line + nameLength + 2, valueBytes, valueStart, valueLength) &&
          sameRange(bytes, line, nameBytes, nameStart, nameLength)
        ) return age;
      }
      number = entries[entry + EntryField.nextField];
    }
    return -1;
  }

  /** Age of the newest entry with this name, -1 when there is none. */
  #findName(hash: number, nameBytes: Uint8Array, nameStart: number, nameLength: number): number {
    const table = this.#table;
    const { entries, bytes } = table;
    let number = this.#byName[hash & (bucketCount - 1)];
    for (let step = 0; step < longestChain; step++) {
      const age = (table.inserted - 1 - number) | 0;
      if (age < 0 || age >= table.count) return -1;
      const entry = table.entry(age);
      if (
        entries[entry + EntryField.nameLength] === nameLength &&
        sameRange(bytes, entries[entry + EntryField.lineStart], nameBytes, nameStart, nameLength)
      ) return age;
      number = entries[entry + EntryField.nextName];
    }
    return -1;
  }
}

/** The static entry with the name of `nameIndex` (the first of that name) and this value, 0 when there is none. */
function findStaticValue(nameIndex: number, bytes: Uint8Array, start: number, length: number): number {
  for (let index = nameIndex; index < nameIndex + sameNameCount[nameIndex]; index++) {
    const entry = (index - 1) * entryFields;
    if (staticEntries[entry + EntryField.valueLength] !== length) continue;
    const value = staticEntries[entry + EntryField.lineStart] + staticEntries[entry + EntryField.nameLength] + 2;
    if (sameRange(staticBytes, value, bytes, start, length)) return index;
  }
  return 0;
}

/** A hash of the length and a few bytes: entries found by it are compared whole. */
function sampledHash(bytes: Uint8Array, start: number, length: number, seed: number): number {
  let hash = seed * 31 + length;
  if (length > 0) {
    const last = start + length - 1;
    hash = hash * 31 + bytes[start] | 0;
    hash = hash * 31 + bytes[start + (length >> 1)] | 0;
    hash = hash * 31 + bytes[last] | 0;
    if (length > 3) hash = hash * 31 + bytes[last - 1] * 7 + bytes[last - 2] | 0;
  }
  return (hash ^ hash >>> 7 ^ hash >>> 14) & 0xffff;
}

function sameRange(a: Uint8Array, aStart: number, b: Uint8Array, bStart: number, length: number): boolean {
  for (let i = 0; i < length; i++) {
    if (a[aStart + i] !== b[bStart + i]) return false;
  }
  return true;
}

/** Writes an integer (§5.1) whose prefix is under `mask` of a byte that begins with `first`. */
function writeInteger(out: ByteQueue, value: number, mask: number, first: number): void {
  const { bytes } = out;
  if (value < mask) {
    bytes[out.end++] = first | value;
    return;
  }
  bytes[out.end++] = first | mask;
  let rest = value - mask;
  for (; rest >= 128; rest >>>= 7) bytes[out.end++] = rest & 127 | 128;
  bytes[out.end++] = rest;
}
