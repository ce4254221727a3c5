/**
 * The dynamic table of HPACK (RFC 7541 §2.3.2 and §4), for either side. Entries stand as lines `name: value\r\n` side by
 * side in one buffer, oldest first, so that an indexed field is one copy; a line is shorter than the entry's size.
 */

/** What is kept of an entry, as offsets into its place in {@link DynamicTable.entries}. */
export const EntryField = {
  lineStart: 0,
  nameLength: 1,
  valueLength: 2,
  traits: 3,
  /** For the owner: entries of the same hash, by number. */
  nextField: 4,
  nextName: 5,
} as const;

export const entryFields = 6;
/** What an entry counts beyond its bytes (RFC 7541 §4.1). */
export const entryOverhead = 32;

const smallestBuffer = 512;
const fewestSlots = 16;
const noBytes = new Uint8Array(0);
const noEntries = new Int32Array(0);

export class DynamicTable {
  bytes: Uint8Array<ArrayBuffer> = noBytes;
  entries: Int32Array<ArrayBuffer> = noEntries;
  /** Entries ever inserted; the newest has the number `inserted - 1`. */
  inserted = 0;
  count = 0;
  /** Size as RFC 7541 §4.1 counts it. */
  size = 0;
  #slots = 0;
  #end = 0;

  constructor(public maximumSize: number) {}

  /** Where the entry of `age` (0 is the newest) stands in {@link entries}. */
  entry(age: number): number {
    return ((this.inserted - 1 - age) & (this.#slots - 1)) * entryFields;
  }

  /** Changes the maximum size; evicts what no longer fits. */
  resize(maximumSize: number): void {
    this.maximumSize = maximumSize;
    this.#evictTo(maximumSize);
    if (maximumSize === 0) this.bytes = noBytes;
  }

  /**
   * Inserts a field and returns where its entry stands, or -1 when it is larger than the table, which empties it
   * (RFC 7541 §4.4). The bytes given may not stand in the table itself.
   */
  insert(
    nameBytes: Uint8Array,
    nameStart: number,
    nameLength: number,
    valueBytes: Uint8Array,
    valueStart: number,
    valueLength: number,
    traits: number,
  ): number {
    const size = nameLength + valueLength + entryOverhead;
    if (size > this.maximumSize) {
      this.#evictTo(0);
      return -1;
    }
    if (this.size + size > this.maximumSize) this.#evictTo(this.maximumSize - size);
    if (this.count === this.#slots) this.#addSlots();
    const lineLength = nameLength + valueLength + 4;
    if (this.#end + lineLength > this.bytes.length) this.#makeRoom(lineLength);

    const bytes = this.bytes;
    const lineStart = this.#end;
    let to = lineStart;
    for (let i = nameStart; i < nameStart + nameLength; i++) bytes[to++] = nameBytes[i];
    bytes[to++] = 58;
    bytes[to++] = 32;
    for (let i = valueStart; i < valueStart + valueLength; i++) bytes[to++] = valueBytes[i];
    bytes[to++] = 13;
    bytes[to++] = 10;
    this.#end = to;

    this.inserted++;
    this.count++;
    this.size += size;
    const at = this.entry(0);
    const entries = this.entries;
    entries[at + EntryField.lineStart] = lineStart;
    entries[at + EntryField.nameLength] = nameLength;
    entries[at + EntryField.valueLength] = valueLength;
    entries[at + EntryField.traits] = traits;
    return at;
  }

  #evictTo(size: number): void {
    while (this.size > size) {
      const at = this.entry(this.count - 1);
      this.size -= this.entries[at + EntryField.nameLength] + this.entries[at + EntryField.valueLength] + entryOverhead;
      this.count--;
    }
    if (this.count === 0) this.#end = 0;
  }

  #addSlots(): void {
    const slots = Math.max(fewestSlots, this.#slots * 2);
    const entries = new Int32Array(slots * entryFields);
    for (let age = 0; age < this.count; age++) {
      const from = this.entry(age);
      const to = ((this.inserted - 1 - age) & (slots - 1)) * entryFields;
      for (let i = 0; i < entryFields; i++) entries[to + i] = this.entries[from + i];
    }
    this.entries = entries;
    this.#slots = slots;
  }

  /**
   * Room for a line of `length` behind the last. The buffer grows up to twice the maximum size, so that moving the
   * lines to its start happens at most once for as many bytes as are moved.
   */
  #makeRoom(length: number): void {
    const live = this.count === 0 ? this.#end : this.entries[this.entry(this.count - 1) + EntryField.lineStart];
    const used = this.#end - live;
    let capacity = Math.max(this.bytes.length, smallestBuffer);
    while ((used + length) * 2 > capacity && capacity < 2 * this.maximumSize) capacity *= 2;
    if (capacity > this.bytes.length) {
      const bytes = new Uint8Array(capacity);
      bytes.set(this.bytes.subarray(live, this.#end));
      this.bytes = bytes;
    } else this.bytes.copyWithin(0, live, this.#end);
    for (let age = 0; age < this.count; age++) this.entries[this.entry(age) + EntryField.lineStart] -= live;
    this.#end = used;
  }
}
