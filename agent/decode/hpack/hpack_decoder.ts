/** Decoding of header blocks (RFC 7541) into a {@link HeaderSink}. Input errors are negative numbers, nothing throws. */
import { DynamicTable, EntryField, entryFields } from "./dynamic_table.ts";
import { badValue, traitsOfField, traitsOfName } from "./field_traits.ts";
import { copyBytes, type HeaderSink } from "./header_sink.ts";
import { decodeHuffman, largestDecodedLength } from "../../../http2/huffman_code.ts";
import { staticBytes, staticCount, staticEntries } from "./static_table.ts";

export const HpackError = {
  /** The block cannot be decoded: a connection error COMPRESSION_ERROR (RFC 9113 §4.3). */
  compression: -1,
  /** The list exceeds the sink's limits; the block was decoded to its end and the connection goes on. */
  headersTooLarge: -2,
} as const;

/** Bytes that may follow the prefix of an integer; the largest is then 2^28 and a bit (RFC 7541 §5.1). */
const maximumContinuation = 4;
const none = 0x7fffffff;

export class HpackDecoder {
  readonly #table: DynamicTable;
  /** What our SETTINGS_HEADER_TABLE_SIZE allows. */
  #limit: number;
  /** The smallest limit set since the last block: the next must begin with an update to no more (RFC 7541 §4.2). */
  #owedLimit = none;
  /** Where the part just read ends. */
  #at = 0;

  constructor(maximumTableSize = 4096) {
    this.#table = new DynamicTable(maximumTableSize);
    this.#limit = maximumTableSize;
  }

  /** Sets the table size that our SETTINGS allow: to be called when the peer has acknowledged them. */
  setMaximumTableSize(size: number): void {
    this.#limit = size;
    if (size < this.#table.maximumSize) this.#owedLimit = Math.min(size, this.#owedLimit);
  }

  /**
   * Decodes the whole header block that stands from `start` to `end` (fragments joined) and adds its fields to `out`.
   * Returns 0, or a negative {@link HpackError}. Takes time linear in the block and in the limits of `out`.
   */
  decode(block: Uint8Array, start: number, end: number, out: HeaderSink): number {
    const table = this.#table;
    let at = this.#sizeUpdates(block, start, end);
    while (at >= 0 && at < end) {
      const byte = block[at];
      if (byte >= 0x80) {
        // Indexed field (§6.1).
        let index = byte & 0x7f;
        at++;
        if (index === 0x7f) {
          index = this.#integer(block, at, end, 0x7f);
          at = this.#at;
        }
        if (index <= 0) return HpackError.compression;
        let bytes = staticBytes;
        let entries = staticEntries;
        let entry = (index - 1) * entryFields;
        if (index > staticCount) {
          const age = index - staticCount - 1;
          if (age >= table.count) return HpackError.compression;
          bytes = table.bytes;
          entries = table.entries;
          entry = table.entry(age);
        }
        out.addLine(
          bytes,
          entries[entry + EntryField.lineStart],
          entries[entry + EntryField.nameLength],
          entries[entry + EntryField.valueLength],
          entries[entry + EntryField.traits],
        );
      } else if (byte >= 0x40) {
        at = this.#literal(block, at, end, 0x3f, out);
      } else if (byte >= 0x20) {
        // A size update that does not stand at the beginning (§4.2).
        return HpackError.compression;
      } else {
        at = this.#literal(block, at, end, 0x0f, out);
      }
    }
    if (at < 0) return HpackError.compression;
    out.finish();
    return out.tooLarge ? HpackError.headersTooLarge : 0;
  }

  /** Reads the table size updates that a block begins with, two at most (§4.2, §6.3). Returns where they end, or -1. */
  #sizeUpdates(block: Uint8Array, start: number, end: number): number {
    let at = start;
    for (let updates = 0; at < end && (block[at] & 0xe0) === 0x20; updates++) {
      if (updates === 2) return -1;
      let size = block[at] & 0x1f;
      at++;
      if (size === 0x1f) {
        size = this.#integer(block, at, end, 0x1f);
        at = this.#at;
      }
      if (size < 0 || size > this.#limit) return -1;
      if (size <= this.#owedLimit) this.#owedLimit = none;
      this.#table.resize(size);
    }
    return this.#owedLimit === none || start === end ? at : -1;
  }

  /** Reads a literal field (§6.2), whose representation has the name's index under `mask`. Its end, or -1. */
  #literal(block: Uint8Array, start: number, end: number, mask: number, out: HeaderSink): number {
    const table = this.#table;
    const byte = block[start];
    let at = start + 1;
    let index = byte & mask;
    if (index === mask) {
      index = this.#integer(block, at, end, mask);
      if (index < 0) return -1;
      at = this.#at;
    }

    let nameLength: number;
    let traits: number;
    if (index === 0) {
      nameLength = this.#string(block, at, end, out, 0);
      if (nameLength < 0) return -1;
      at = this.#at;
      traits = traitsOfName(out.bytes, out.end, out.end + nameLength);
    } else {
      let bytes = staticBytes;
      let entries = staticEntries;
      let entry = (index - 1) * entryFields;
      if (index > staticCount) {
        const age = index - staticCount - 1;
        if (age >= table.count) return -1;
        bytes = table.bytes;
        entries = table.entries;
        entry = table.entry(age);
      }
      nameLength = entries[entry + EntryField.nameLength];
      traits = entries[entry + EntryField.traits] & ~badValue;
      out.reserve(nameLength);
      copyBytes(bytes, entries[entry + EntryField.lineStart], nameLength, out.bytes, out.end);
    }

    const valueOffset = nameLength + 2;
    const valueLength = this.#string(block, at, end, out, valueOffset);
    if (valueLength < 0) return -1;
    const valueStart = out.end + valueOffset;
    traits = traitsOfField(traits, out.bytes, valueStart, valueStart + valueLength);
    if (mask === 0x3f) table.insert(out.bytes, out.end, nameLength, out.bytes, valueStart, valueLength, traits);
    out.addWritten(nameLength, valueLength, traits, byte >= 0x10 && byte < 0x20 ? 1 : 0);
    return this.#at;
  }

  /**
   * Reads a string (§5.2) and writes it `offset` bytes behind the end of `out`, which stays, with room for the end of a
   * line. Returns its length, or -1.
   */
  #string(block: Uint8Array, start: number, end: number, out: HeaderSink, offset: number): number {
    if (start >= end) return -1;
    const byte = block[start];
    let at = start + 1;
    let length = byte & 0x7f;
    if (length === 0x7f) {
      length = this.#integer(block, at, end, 0x7f);
      if (length < 0) return -1;
      at = this.#at;
    }
    if (length > end - at) return -1;
    this.#at = at + length;
    if (byte < 0x80) {
      this.#reserveBehind(out, offset, length + 2);
      copyBytes(block, at, length, out.bytes, out.end + offset);
      return length;
    }
    this.#reserveBehind(out, offset, largestDecodedLength(length) + 2);
    const target = out.end + offset;
    const decoded = decodeHuffman(block, at, at + length, out.bytes, target);
    return decoded < 0 ? -1 : decoded - target;
  }

  /** Makes room in `out` and keeps the `offset` bytes that are written behind its end already. */
  #reserveBehind(out: HeaderSink, offset: number, size: number): void {
    if (out.end + offset + size <= out.bytes.length) return;
    out.end += offset;
    out.reserve(size);
    out.end -= offset;
  }

  /** Reads the rest of an integer whose prefix is full (§5.1); -1 when it is cut off or too large. */
  #integer(block: Uint8Array, start: number, end: number, prefix: number): number {
    let value = prefix;
    for (let i = 0; i < maximumContinuation && start + i < end; i++) {
      const byte = block[start + i];
      value += (byte & 0x7f) * 2 ** (7 * i);
      if (byte < 0x80) {
        this.#at = start + i + 1;
        return value;
      }
    }
    return -1;
  }
}
