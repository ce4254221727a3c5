/** A header block that CONTINUATION frames go on with (RFC 9113 §6.10), until it is whole. */
import { ByteQueue, type SlabPool } from "../../worker/buffers.ts";
import { Limit } from "./protocol.ts";

export class PartialBlock {
  /** The stream whose block it is; 0: none is begun. */
  stream = 0;
  /** When it began, on the loop's clock. */
  since = 0;
  readonly bytes: ByteQueue;
  #continuations = 0;

  constructor(slabs: SlabPool) {
    this.bytes = new ByteQueue(slabs);
  }

  begin(stream: number, now: number): void {
    this.stream = stream;
    this.since = now;
    this.#continuations = 0;
  }

  /** Adds what a CONTINUATION frame brings; false: beyond the limit, which is told now, since the block need never end. */
  append(bytes: Uint8Array, start: number, end: number): boolean {
    if (++this.#continuations > Limit.continuations || this.bytes.length + end - start > Limit.headerBlock) {
      return false;
    }
    this.bytes.append(bytes, start, end - start);
    return true;
  }

  clear(): void {
    this.stream = 0;
    this.bytes.clear();
  }
}
