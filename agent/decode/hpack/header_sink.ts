/**
 * A decoded header list, reused from message to message. Regular fields stand as lines `name: value\r\n` side by side,
 * as in an HTTP/1.1 head; pseudo-header fields are recorded apart. What makes a message malformed (RFC 9113 §8.2, §8.3)
 * is noted while the list is read, what it takes to be complete is left to who knows which message it is.
 */
import { COLON, CR, LF, SPACE } from "../characters.ts";
import { Fields, maximumHeaders } from "../head.ts";
import { joinCookieCrumbs } from "./cookie_crumbs.ts";
import { entryOverhead } from "./dynamic_table.ts";
import { badName, badValue, FieldKind, firstPseudoKind } from "./field_traits.ts";

const smallestBuffer = 2048;

export class HeaderSink {
  /** Holds the lines and the values of pseudo-header fields; the same as `fields.bytes`. */
  bytes: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  /** End of what `bytes` holds. */
  end = 0;
  /** Start and end of each pseudo-header field's value in `bytes`, -1 when absent. */
  methodStart = -1;
  methodEnd = -1;
  pathStart = -1;
  pathEnd = -1;
  authorityStart = -1;
  authorityEnd = -1;
  schemeStart = -1;
  schemeEnd = -1;
  statusStart = -1;
  statusEnd = -1;
  protocolStart = -1;
  protocolEnd = -1;
  /** Whether any pseudo-header field came: none may in trailers. */
  hasPseudo = false;
  /** A stream error (RFC 9113 §8.1.1). */
  malformed = false;
  /** The list exceeds its limits; what came after is not stored. */
  tooLarge = false;
  /** Size of the list as SETTINGS_MAX_HEADER_LIST_SIZE counts it (RFC 9113 §6.5.2), all fields included. */
  size = 0;
  /** For each field 1 when it must be sent on as never indexed (RFC 7541 §6.2.3). */
  readonly neverIndexed: Uint8Array<ArrayBuffer> = new Uint8Array(maximumHeaders);
  #limitBytes = 0;
  #limitFields = 0;
  #cookies = 0;
  #pseudoCount = 0;

  /** The fields are recorded in `fields`, whose `bytes` follow the buffer of this list. */
  constructor(readonly fields: Fields = new Fields(new Uint8Array(0))) {}

  /** Empties the list and sets its limits: `limitBytes` for {@link size}, `limitFields` with pseudo-header fields. */
  begin(limitBytes: number, limitFields: number): void {
    this.#limitBytes = limitBytes;
    this.#limitFields = limitFields;
    this.#cookies = 0;
    this.#pseudoCount = 0;
    this.end = 0;
    this.size = 0;
    this.hasPseudo = false;
    this.malformed = false;
    this.tooLarge = false;
    this.methodStart = this.methodEnd = -1;
    this.pathStart = this.pathEnd = -1;
    this.authorityStart = this.authorityEnd = -1;
    this.schemeStart = this.schemeEnd = -1;
    this.statusStart = this.statusEnd = -1;
    this.protocolStart = this.protocolEnd = -1;
    this.fields.clear();
    this.fields.bytes = this.bytes;
  }

  /** Makes room for `size` more bytes behind `end`. */
  reserve(size: number): void {
    const needed = this.end + size;
    if (needed <= this.bytes.length) return;
    let length = Math.max(this.bytes.length, smallestBuffer);
    while (length < needed) length *= 2;
    const bytes = new Uint8Array(length);
    bytes.set(this.bytes.subarray(0, this.end));
    this.bytes = bytes;
    this.fields.bytes = bytes;
  }

  /** Adds a field of a table, whose line begins at `lineStart` of `source`. */
  addLine(source: Uint8Array, lineStart: number, nameLength: number, valueLength: number, traits: number): void {
    if (!this.#admits(nameLength + valueLength)) return;
    if ((traits & 255) >= firstPseudoKind) {
      this.reserve(valueLength);
      const start = this.end;
      copyBytes(source, lineStart + nameLength + 2, valueLength, this.bytes, start);
      this.end = start + valueLength;
      this.#recordPseudo(traits, start, this.end);
      return;
    }
    const lineLength = nameLength + valueLength + 4;
    this.reserve(lineLength);
    copyBytes(source, lineStart, lineLength, this.bytes, this.end);
    this.#recordRegular(nameLength, valueLength, traits, 0);
  }

  /**
   * Adds the field whose name has been written at `end` and whose value two bytes behind it, with room for the two
   * bytes of the line's end.
   */
  addWritten(nameLength: number, valueLength: number, traits: number, neverIndexed: number): void {
    if (!this.#admits(nameLength + valueLength)) return;
    const bytes = this.bytes;
    const nameEnd = this.end + nameLength;
    const valueEnd = nameEnd + 2 + valueLength;
    bytes[nameEnd] = COLON;
    bytes[nameEnd + 1] = SPACE;
    bytes[valueEnd] = CR;
    bytes[valueEnd + 1] = LF;
    if ((traits & 255) >= firstPseudoKind) {
      this.#recordPseudo(traits, nameEnd + 2, valueEnd);
      this.end = valueEnd + 2;
    } else this.#recordRegular(nameLength, valueLength, traits, neverIndexed);
  }

  /** Ends the list: cookie crumbs become one field (RFC 9113 §8.2.3). */
  finish(): void {
    if (this.#cookies > 1 && !this.tooLarge) joinCookieCrumbs(this);
  }

  /** Counts a field; false when it is not to be stored. */
  #admits(length: number): boolean {
    this.size += length + entryOverhead;
    if (this.size > this.#limitBytes || this.fields.count + this.#pseudoCount >= this.#limitFields) {
      this.tooLarge = true;
    }
    return !this.tooLarge;
  }

  #recordRegular(nameLength: number, valueLength: number, traits: number, neverIndexed: number): void {
    const { fields } = this;
    const start = this.end;
    const valueStart = start + nameLength + 2;
    const valueEnd = valueStart + valueLength;
    this.end = valueEnd + 2;
    if ((traits & (badName | badValue)) !== 0) this.malformed = true;
    if ((traits & 255) === FieldKind.cookie) this.#cookies++;
    const index = fields.count;
    if (fields.add((traits >> 8) & 255, start, start + nameLength, valueStart, valueEnd)) {
      this.neverIndexed[index] = neverIndexed;
    } else this.tooLarge = true;
  }

  #recordPseudo(traits: number, start: number, end: number): void {
    this.#pseudoCount++;
    this.hasPseudo = true;
    // After a regular field none may come (RFC 9113 §8.3).
    if (this.fields.count > 0 || (traits & (badName | badValue)) !== 0) this.malformed = true;
    switch (traits & 255) {
      case FieldKind.method:
        if (this.methodStart >= 0) this.malformed = true;
        this.methodStart = start;
        this.methodEnd = end;
        break;
      case FieldKind.path:
        if (this.pathStart >= 0) this.malformed = true;
        this.pathStart = start;
        this.pathEnd = end;
        break;
      case FieldKind.authority:
        if (this.authorityStart >= 0) this.malformed = true;
        this.authorityStart = start;
        this.authorityEnd = end;
        break;
      case FieldKind.scheme:
        if (this.schemeStart >= 0) this.malformed = true;
        this.schemeStart = start;
        this.schemeEnd = end;
        break;
      case FieldKind.status:
        if (this.statusStart >= 0) this.malformed = true;
        this.statusStart = start;
        this.statusEnd = end;
        break;
      case FieldKind.protocol:
        if (this.protocolStart >= 0) this.malformed = true;
        this.protocolStart = start;
        this.protocolEnd = end;
        break;
    }
  }
}

/** Short pieces are cheaper copied byte by byte than through a view, which would be an allocation. */
export function copyBytes(source: Uint8Array, offset: number, length: number, target: Uint8Array, at: number): void {
  if (length > 48) target.set(source.subarray(offset, offset + length), at);
  else for (let i = 0; i < length; i++) target[at + i] = source[offset + i];
}
