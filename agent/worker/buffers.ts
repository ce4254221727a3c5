/** Byte buffers of a data thread: pooled slabs, and the output that waits for a socket. */

import { newSlab, type Slab } from "../sys/slab.ts";

const smallestSlab = 4 * 1024;
/**
 * Bytes of free slabs kept of each size; what comes back beyond is left to the collector, which is slow to see memory
 * that is not its own: what a busy thread needs again at once must be kept.
 */
const keptPerSize = 16 * 1024 * 1024;

/** Slabs in sizes of powers of two, from 4 KiB. */
export class SlabPool {
  readonly #free: Slab[][] = [];
  /** Bytes handed out and not given back. */
  inUse = 0;

  take(size: number): Slab {
    const order = sizeOrder(size);
    const slab = this.#free[order]?.pop() ?? newSlab(smallestSlab << order);
    this.inUse += slab.bytes.length;
    return slab;
  }

  give(slab: Slab): void {
    this.inUse -= slab.bytes.length;
    const order = sizeOrder(slab.bytes.length);
    const free = this.#free[order] ??= [];
    if (free.length * slab.bytes.length < keptPerSize) free.push(slab);
  }
}

function sizeOrder(size: number): number {
  return size <= smallestSlab ? 0 : 32 - Math.clz32((size - 1) >>> 12);
}

/**
 * A growing run of bytes: appended at the end, consumed at the start. Holds a slab only while it holds bytes.
 * Writers that know their size call {@link reserve} and write to `bytes` at `end` themselves.
 */
export class ByteQueue {
  bytes: Uint8Array<ArrayBuffer> = none;
  pointer: Deno.PointerValue = null;
  start = 0;
  end = 0;
  #slab: Slab | null = null;

  constructor(readonly pool: SlabPool) {}

  get length(): number {
    return this.end - this.start;
  }

  /** Makes room for `size` more bytes behind `end`. */
  reserve(size: number): void {
    if (this.end + size > this.bytes.length) this.#grow(size);
  }

  #grow(size: number): void {
    const length = this.length;
    const old = this.#slab;
    if (old !== null && length + size <= old.bytes.length && this.start >= length) {
      old.bytes.copyWithin(0, this.start, this.end);
    } else {
      const slab = this.pool.take(Math.max(length + size, smallestSlab));
      if (length > 0) slab.bytes.set(this.bytes.subarray(this.start, this.end));
      if (old !== null) this.pool.give(old);
      this.#slab = slab;
      this.bytes = slab.bytes;
      this.pointer = slab.pointer;
    }
    this.start = 0;
    this.end = length;
  }

  append(source: Uint8Array, offset: number, size: number): void {
    this.reserve(size);
    const target = this.bytes;
    let end = this.end;
    // Short pieces are cheaper copied byte by byte than through a view, which would be an allocation.
    if (size <= 48) {
      for (let i = offset; i < offset + size; i++) target[end++] = source[i];
    } else {
      target.set(offset === 0 && size === source.length ? source : source.subarray(offset, offset + size), end);
      end += size;
    }
    this.end = end;
  }

  /** Appends all of `source`. */
  appendAll(source: Uint8Array): void {
    this.append(source, 0, source.length);
  }

  /** Appends text of ASCII characters (others become their low byte). */
  appendText(text: string): void {
    this.reserve(text.length);
    const bytes = this.bytes;
    let end = this.end;
    for (let i = 0; i < text.length; i++) bytes[end++] = text.charCodeAt(i);
    this.end = end;
  }

  /** Appends a whole number, not negative, in decimal digits. */
  appendDecimal(value: number): void {
    let digits = 1;
    for (let bound = 10; value >= bound; bound *= 10) digits++;
    this.reserve(digits);
    const bytes = this.bytes;
    let rest = value;
    for (let at = this.end + digits - 1; at >= this.end; at--) {
      const tenth = Math.floor(rest / 10);
      bytes[at] = 48 + (rest - tenth * 10);
      rest = tenth;
    }
    this.end += digits;
  }

  consume(size: number): void {
    this.start += size;
    if (this.start === this.end) this.clear();
  }

  /** Forgets the content and gives the slab back. */
  clear(): void {
    if (this.#slab !== null) this.pool.give(this.#slab);
    this.#slab = null;
    this.bytes = none;
    this.pointer = null;
    this.start = this.end = 0;
  }
}

const none = new Uint8Array(0);
