/** Header blocks (HPACK, RFC 7541): decoding what clients send, encoding the few headers of answers. */
import { decodeHuffman, largestDecodedLength } from "../../../http2/huffman_code.ts";
import { staticFields } from "../../../http2/static_fields.ts";
import { ConnectionError, ErrorCode } from "./frames.ts";

/** Name and value. */
export type Header = readonly [name: string, value: string];

/** SETTINGS_HEADER_TABLE_SIZE where nothing else was agreed. */
const tableSize = 4096;
/** What an entry counts beyond its bytes (RFC 7541 §4.1; RFC 9113 §6.5.2 for lists). */
const entryOverhead = 32;
/** Bytes of one decoded list, as {@link entryOverhead} counts: an indexed field may be a thousand times its size. */
export const headerListLimit = 32 * 1024;

const latin1 = new TextDecoder("latin1");
const encoder = new TextEncoder();

/** One connection's decoder, with the table that all its blocks share. */
export class HeaderDecoder {
  /** The newest first. */
  readonly #table: Header[] = [];
  #size = 0;
  #maximum = tableSize;

  /** @throws {ConnectionError} for a block that is damaged or decodes to more than {@link headerListLimit} */
  decode(block: Uint8Array): Header[] {
    const input = new BlockInput(block);
    const headers: Header[] = [];
    let size = 0;
    while (!input.atEnd) {
      const first = input.peek();
      let header: Header;
      if (first & 0x80) {
        header = this.#entry(input.integer(7));
      } else if (first & 0x40) {
        header = this.#literal(input, 6);
        this.#insert(header);
      } else if (first & 0x20) {
        this.#resize(input.integer(5), headers.length);
        continue;
      } else {
        header = this.#literal(input, 4);
      }
      size += sizeOf(header);
      if (size > headerListLimit) {
        throw new ConnectionError(ErrorCode.enhanceYourCalm, `more than ${headerListLimit} bytes of headers`);
      }
      headers.push(header);
    }
    return headers;
  }

  #literal(input: BlockInput, prefix: number): Header {
    const index = input.integer(prefix);
    const name = index === 0 ? input.string() : this.#entry(index)[0];
    return [name, input.string()];
  }

  #entry(index: number): Header {
    const header = index <= staticFields.length
      ? staticFields[index - 1]
      : this.#table[index - staticFields.length - 1];
    if (header === undefined) throw damaged(`there is no entry ${index}`);
    return header;
  }

  #insert(header: Header): void {
    this.#table.unshift(header);
    this.#size += sizeOf(header);
    this.#evict();
  }

  /** A size update stands at the beginning of a block and within what we allow (RFC 7541 §4.2 and §6.3). */
  #resize(maximum: number, before: number): void {
    if (before > 0) throw damaged("a table size update behind a field");
    if (maximum > tableSize) throw damaged(`a table of ${maximum} bytes; ${tableSize} are allowed`);
    this.#maximum = maximum;
    this.#evict();
  }

  #evict(): void {
    while (this.#size > this.#maximum) this.#size -= sizeOf(this.#table.pop()!);
  }
}

/** A block of literals that no table is needed for. Names in lower case; values in ASCII. */
export function encodeHeaders(headers: Header[]): Uint8Array<ArrayBuffer> {
  const bytes: number[] = [];
  const string = (text: string) => {
    const encoded = encoder.encode(text);
    pushInteger(bytes, encoded.length, 7);
    bytes.push(...encoded);
  };
  for (const [name, value] of headers) {
    bytes.push(0);
    string(name);
    string(value);
  }
  return new Uint8Array(bytes);
}

function pushInteger(bytes: number[], value: number, prefix: number): void {
  const limit = 2 ** prefix - 1;
  if (value < limit) {
    bytes.push(value);
    return;
  }
  bytes.push(limit);
  let rest = value - limit;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push(rest % 128 + 128);
  bytes.push(rest);
}

class BlockInput {
  #at = 0;
  constructor(readonly bytes: Uint8Array) {}

  get atEnd(): boolean {
    return this.#at >= this.bytes.length;
  }

  peek(): number {
    return this.bytes[this.#at];
  }

  /** RFC 7541 §5.1. */
  integer(prefix: number): number {
    const limit = 2 ** prefix - 1;
    let value = this.#byte() & limit;
    if (value < limit) return value;
    for (let shift = 0; shift <= 21; shift += 7) {
      const byte = this.#byte();
      value += (byte & 127) * 2 ** shift;
      if (byte < 128) return value;
    }
    throw damaged("a number that is too large");
  }

  /** RFC 7541 §5.2. Bytes above ASCII come out as Latin-1. */
  string(): string {
    const isHuffman = (this.peek() & 0x80) !== 0;
    const length = this.integer(7);
    const end = this.#at + length;
    if (end > this.bytes.length) throw damaged("a string that goes beyond the block");
    const start = this.#at;
    this.#at = end;
    if (!isHuffman) return latin1.decode(this.bytes.subarray(start, end));
    const text = new Uint8Array(largestDecodedLength(length) + 1);
    const decoded = decodeHuffman(this.bytes, start, end, text, 0);
    if (decoded < 0) throw damaged("a string in no Huffman code");
    return latin1.decode(text.subarray(0, decoded));
  }

  #byte(): number {
    if (this.atEnd) throw damaged("it ends in the middle of a field");
    return this.bytes[this.#at++];
  }
}

function sizeOf([name, value]: Header): number {
  return name.length + value.length + entryOverhead;
}

function damaged(reason: string): ConnectionError {
  return new ConnectionError(ErrorCode.compressionError, `a damaged header block: ${reason}`);
}
