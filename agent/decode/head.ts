/**
 * A parsed message head: where each part stands in the buffer it was received in. Reused from message to message;
 * valid only until the buffer is read into again.
 */
import { ascii, latin1, sameBytes } from "./characters.ts";
import { Known, knownCount } from "./known_headers.ts";

export const maximumHeaders = 100;

const headMethod = ascii("HEAD");

/** Four numbers a field: start and end of its name, start and end of its value. */
const perField = 4;

export class Fields {
  bytes: Uint8Array<ArrayBuffer>;
  count = 0;
  readonly positions = new Int32Array(perField * maximumHeaders);
  /** The `Known` number of each field. */
  readonly ids = new Uint8Array(maximumHeaders);
  /** 1 for a field that is not forwarded. */
  readonly dropped = new Uint8Array(maximumHeaders);
  /** For each known header the index of its first field, -1 when absent. */
  readonly first = new Int16Array(knownCount);
  /** For each known header how often it occurs. */
  readonly occurrences = new Uint8Array(knownCount);

  constructor(bytes: Uint8Array<ArrayBuffer>) {
    this.bytes = bytes;
    this.first.fill(-1);
  }

  clear(): void {
    // A loop over what was set is cheaper than filling both tables.
    for (let i = 0; i < this.count; i++) {
      const id = this.ids[i];
      this.first[id] = -1;
      this.occurrences[id] = 0;
    }
    this.count = 0;
  }

  /** Records a field; false when there are too many. */
  add(id: number, nameStart: number, nameEnd: number, valueStart: number, valueEnd: number): boolean {
    const index = this.count;
    if (index === maximumHeaders) return false;
    const at = index * perField;
    this.positions[at] = nameStart;
    this.positions[at + 1] = nameEnd;
    this.positions[at + 2] = valueStart;
    this.positions[at + 3] = valueEnd;
    this.ids[index] = id;
    this.dropped[index] = 0;
    if (id !== Known.other) {
      if (this.first[id] < 0) this.first[id] = index;
      this.occurrences[id]++;
    }
    this.count = index + 1;
    return true;
  }

  nameStart(index: number): number {
    return this.positions[index * perField];
  }

  nameEnd(index: number): number {
    return this.positions[index * perField + 1];
  }

  valueStart(index: number): number {
    return this.positions[index * perField + 2];
  }

  valueEnd(index: number): number {
    return this.positions[index * perField + 3];
  }

  has(id: number): boolean {
    return this.first[id] >= 0;
  }

  /** Whether a known header is there and not dropped. Where it is dropped, all its occurrences are. */
  keeps(id: number): boolean {
    return this.first[id] >= 0 && this.dropped[this.first[id]] === 0;
  }

  drop(id: number): void {
    if (this.first[id] < 0) return;
    for (let i = this.first[id]; i < this.count; i++) {
      if (this.ids[i] === id) this.dropped[i] = 1;
    }
  }

  /** Index of the first field of this name (lower case) at or after `from`, -1 when there is none. */
  find(name: Uint8Array, from = 0): number {
    for (let i = from; i < this.count; i++) {
      const start = this.positions[i * perField];
      if (sameBytes(this.bytes, start, this.positions[i * perField + 1] - start, name)) return i;
    }
    return -1;
  }

  dropNamed(name: Uint8Array): void {
    for (let i = this.find(name); i >= 0; i = this.find(name, i + 1)) this.dropped[i] = 1;
  }

  /** The value of the field at `index` as text. */
  value(index: number): string {
    return latin1(this.bytes, this.valueStart(index), this.valueEnd(index));
  }

  /** The value of a known header as text, or `null`. */
  known(id: number): string | null {
    return this.first[id] < 0 ? null : this.value(this.first[id]);
  }
}

export class RequestHead {
  methodStart = 0;
  methodEnd = 0;
  /** Path with its query, in origin form. */
  pathStart = 0;
  pathEnd = 0;
  /** Where the query begins (at its `?`), or {@link pathEnd}. */
  queryStart = 0;
  /** Host and port, lower-cased in place. */
  authorityStart = 0;
  authorityEnd = 0;
  /** 0 for HTTP/1.0, 1 for HTTP/1.1. */
  minorVersion = 1;
  /** Whether the request's scheme is https: it came over TLS, or somebody trusted says so. */
  secure = false;

  constructor(readonly fields: Fields) {}

  get method(): string {
    return latin1(this.fields.bytes, this.methodStart, this.methodEnd);
  }

  /** Whether the method is HEAD. */
  get isHead(): boolean {
    return sameBytes(this.fields.bytes, this.methodStart, this.methodEnd - this.methodStart, headMethod);
  }

  get path(): string {
    return latin1(this.fields.bytes, this.pathStart, this.pathEnd);
  }

  get authority(): string {
    return latin1(this.fields.bytes, this.authorityStart, this.authorityEnd);
  }
}

export class ResponseHead {
  status = 0;
  minorVersion = 1;

  constructor(readonly fields: Fields) {}
}
