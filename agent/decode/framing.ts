/**
 * The one place that decides where a message's body ends (RFC 9112 §6, §7), for requests and responses alike.
 * Deviations that another recipient might read differently are errors, never guesses.
 */
import { CR, hexValue, LF, SEMICOLON, SPACE, TAB, tokenLower, valueByte } from "./characters.ts";
import { Fields, type RequestHead, type ResponseHead } from "./head.ts";
import { parseFields, ParseResult } from "./http1/parse_head.ts";
import { Known } from "./known_headers.ts";
import { admitTrailers } from "./trailers.ts";

/** `tunnel`: bytes of another protocol, in both directions, until each side ends its own. */
export const BodyKind = { none: 0, length: 1, chunked: 2, untilClose: 3, tunnel: 4 } as const;

/** Bytes of a chunk line beyond its size, and of a trailer section, that are borne. */
const maximumExtension = 256;
const maximumTrailers = 8192;
const smallestSection = 256;

const enum State {
  sizeFirst,
  size,
  sizeSpace,
  extension,
  sizeEnd,
  data,
  dataCr,
  dataLf,
  trailerFirst,
  // From here on bytes belong to the trailer section.
  trailerName,
  trailerValue,
  trailerEnd,
  trailerStart,
  lastLf,
}

/** Reads one body: tells which bytes are data and when it is over. */
export class BodyReader {
  kind: number = BodyKind.none;
  /** Declared length (kind `length`); else 0. */
  length = 0;
  done = true;
  /** The data found by the last {@link next}. */
  dataStart = 0;
  dataEnd = 0;
  /** Once a chunked body is {@link done}: its trailers, `null` when it has none. Valid until the next message. */
  trailers: Fields | null = null;
  /** The trailer section so far, for it may come in pieces; `null` before its first byte. */
  #section: Uint8Array<ArrayBuffer> | null = null;
  #sectionEnd = 0;
  /** Bytes of the body, or of the current chunk, still to come. */
  #remaining = 0;
  #state: State = State.sizeFirst;
  #digits = 0;
  #overhead = 0;

  /** Takes the framing from a request head; 0 or an error of {@link ParseResult}. */
  startRequest(head: RequestHead): number {
    const fields = head.fields;
    if (fields.has(Known.framingLookalike)) return ParseResult.badRequest;
    if (fields.has(Known.transferEncoding)) {
      if (fields.has(Known.contentLength) || head.minorVersion === 0) return ParseResult.badRequest;
      if (!isChunked(fields)) return ParseResult.notImplemented;
      return this.#begin(BodyKind.chunked, 0);
    }
    if (!fields.has(Known.contentLength)) return this.#begin(BodyKind.none, 0);
    const length = contentLength(fields);
    return length < 0 ? ParseResult.badRequest : this.#begin(BodyKind.length, length);
  }

  /** Takes the framing from a response head; `toHead`: it answers a HEAD request. */
  startResponse(head: ResponseHead, toHead: boolean): number {
    const fields = head.fields;
    if (fields.has(Known.framingLookalike)) return ParseResult.badRequest;
    const coded = fields.has(Known.transferEncoding);
    if (coded && (fields.has(Known.contentLength) || head.minorVersion === 0 || !isChunked(fields))) {
      return ParseResult.badRequest;
    }
    const length = fields.has(Known.contentLength) ? contentLength(fields) : 0;
    if (length < 0) return ParseResult.badRequest;
    if (toHead || head.status < 200 || head.status === 204 || head.status === 304) {
      this.#begin(BodyKind.none, 0);
      this.length = length;
      return 0;
    }
    if (coded) return this.#begin(BodyKind.chunked, 0);
    if (fields.has(Known.contentLength)) return this.#begin(BodyKind.length, length);
    return this.#begin(BodyKind.untilClose, 0);
  }

  /** What follows the head is another protocol's. */
  startTunnel(): void {
    this.#begin(BodyKind.tunnel, 0);
  }

  /** The sender of a tunnel has ended its side. */
  endTunnel(): void {
    this.done = true;
  }

  #begin(kind: number, length: number): number {
    this.kind = kind;
    this.length = length;
    this.#remaining = length;
    this.done = kind === BodyKind.none || (kind === BodyKind.length && length === 0);
    this.#state = State.sizeFirst;
    this.#overhead = 0;
    this.trailers = null;
    this.#section = null;
    return 0;
  }

  /**
   * Reads on from `position`: returns the position behind what was taken, with the data in {@link dataStart} to
   * {@link dataEnd} (possibly none), or a negative {@link ParseResult}. Call again while there are bytes and it is
   * not {@link done}.
   */
  next(bytes: Uint8Array, position: number, end: number): number {
    if (this.kind === BodyKind.chunked) return this.#nextChunked(bytes, position, end);
    this.dataStart = position;
    if (this.kind === BodyKind.untilClose || this.kind === BodyKind.tunnel) return this.dataEnd = end;
    const taken = Math.min(end - position, this.#remaining);
    this.#remaining -= taken;
    this.done = this.#remaining === 0;
    return this.dataEnd = position + taken;
  }

  #nextChunked(bytes: Uint8Array, position: number, end: number): number {
    let i = position;
    this.dataStart = this.dataEnd = i;
    while (i < end) {
      if (this.#state === State.data) {
        const taken = Math.min(end - i, this.#remaining);
        this.#remaining -= taken;
        if (this.#remaining === 0) this.#state = State.dataCr;
        this.dataStart = i;
        return this.dataEnd = i + taken;
      }
      const byte = bytes[i++];
      if (!this.#step(byte)) return ParseResult.badRequest;
      if (this.#state >= State.trailerName && !this.#keep(byte)) return ParseResult.badRequest;
      if (this.done) break;
    }
    this.dataStart = this.dataEnd = i;
    return i;
  }

  /** One byte outside chunk data; false: the framing is broken. */
  #step(byte: number): boolean {
    switch (this.#state) {
      case State.sizeFirst:
        this.#remaining = 0;
        this.#digits = 0;
        this.#overhead = 0;
        if (hexValue[byte] === 255) return false;
        this.#state = State.size;
        return this.#digit(byte);
      case State.size:
        if (hexValue[byte] !== 255) return this.#digit(byte);
        return this.#behindSize(byte);
      case State.sizeSpace:
        // RFC 9112 §7.1.1 has "bad whitespace" before an extension only.
        if (byte === SEMICOLON) this.#state = State.extension;
        else if (byte !== SPACE && byte !== TAB) return false;
        return this.#within(maximumExtension);
      case State.extension:
        if (byte === CR) this.#state = State.sizeEnd;
        else if (valueByte[byte] === 0) return false;
        return this.#within(maximumExtension);
      case State.sizeEnd:
        if (byte !== LF) return false;
        this.#overhead = 0;
        this.#state = this.#remaining === 0 ? State.trailerFirst : State.data;
        return true;
      case State.dataCr:
        this.#state = State.dataLf;
        return byte === CR;
      case State.dataLf:
        this.#state = State.sizeFirst;
        return byte === LF;
      case State.trailerFirst:
      case State.trailerStart:
        if (byte === CR) this.#state = State.lastLf;
        else if (tokenLower[byte] === 0) return false;
        else this.#state = State.trailerName;
        return this.#within(maximumTrailers);
      case State.trailerName:
        if (byte === 58) this.#state = State.trailerValue;
        else if (tokenLower[byte] === 0) return false;
        return this.#within(maximumTrailers);
      case State.trailerValue:
        if (byte === CR) this.#state = State.trailerEnd;
        else if (valueByte[byte] === 0) return false;
        return this.#within(maximumTrailers);
      case State.trailerEnd:
        this.#state = State.trailerStart;
        return byte === LF;
      case State.lastLf:
        this.done = true;
        return byte === LF;
      default:
        return false;
    }
  }

  /** Keeps a byte of the trailer section; the last one makes its fields. False: they may not stand there. */
  #keep(byte: number): boolean {
    if (this.#section === null) {
      if (this.done || this.#state === State.lastLf) return true;
      this.#section = new Uint8Array(smallestSection);
      this.#sectionEnd = 0;
    } else if (this.#sectionEnd === this.#section.length) {
      const grown = new Uint8Array(this.#section.length * 2);
      grown.set(this.#section);
      this.#section = grown;
    }
    this.#section[this.#sectionEnd++] = byte;
    if (!this.done) return true;
    const fields = new Fields(this.#section);
    if (parseFields(this.#section, 0, this.#sectionEnd, fields) <= 0 || !admitTrailers(fields)) return false;
    this.trailers = fields;
    return true;
  }

  #behindSize(byte: number): boolean {
    if (byte === CR) this.#state = State.sizeEnd;
    else if (byte === SEMICOLON) this.#state = State.extension;
    else if (byte === SPACE || byte === TAB) this.#state = State.sizeSpace;
    else return false;
    return true;
  }

  #digit(byte: number): boolean {
    this.#remaining = this.#remaining * 16 + hexValue[byte];
    return ++this.#digits <= 16 && this.#remaining <= Number.MAX_SAFE_INTEGER;
  }

  #within(limit: number): boolean {
    return ++this.#overhead <= limit;
  }
}

/** Whether Transfer-Encoding is exactly `chunked`, once. */
function isChunked(fields: Fields): boolean {
  if (fields.occurrences[Known.transferEncoding] !== 1) return false;
  const index = fields.first[Known.transferEncoding];
  const start = fields.valueStart(index);
  if (fields.valueEnd(index) - start !== 7) return false;
  for (let i = 0; i < 7; i++) {
    if ((fields.bytes[start + i] | 32) !== "chunked".charCodeAt(i)) return false;
  }
  return true;
}

/** The value of the one Content-Length, digits only, at most 2^53 - 1; -1 when it is anything else. */
function contentLength(fields: Fields): number {
  if (fields.occurrences[Known.contentLength] !== 1) return -1;
  const index = fields.first[Known.contentLength];
  const start = fields.valueStart(index);
  const end = fields.valueEnd(index);
  if (end === start || end - start > 16) return -1;
  let length = 0;
  for (let i = start; i < end; i++) {
    const digit = fields.bytes[i] - 48;
    if (digit < 0 || digit > 9) return -1;
    length = length * 10 + digit;
  }
  return length <= Number.MAX_SAFE_INTEGER ? length : -1;
}

/** No Content-Length was declared … */
export const NO_LENGTH = -1;
/** … or one that cannot be right. */
export const BAD_LENGTH = -2;

/**
 * What an HTTP/2 message declares as its length: the stream's end delimits its body, but a Content-Length that says
 * otherwise makes it malformed (RFC 9113 §8.1.1).
 */
export function declaredLength(fields: Fields): number {
  if (fields.has(Known.framingLookalike)) return BAD_LENGTH;
  if (!fields.has(Known.contentLength)) return NO_LENGTH;
  const length = contentLength(fields);
  return length < 0 ? BAD_LENGTH : length;
}
