/** A header block that comes in HEADERS and CONTINUATION frames (RFC 9113 §4.3). */
import { ConnectionError, ErrorCode } from "./frames.ts";
import { headerListLimit } from "./header_blocks.ts";

export class HeaderFragments {
  readonly #parts: Uint8Array[] = [];
  #size = 0;

  constructor(readonly stream: number, readonly endsStream: boolean) {}

  /** @throws {ConnectionError} as soon as the block is larger than the list that it may decode to */
  add(bytes: Uint8Array): void {
    this.#size += bytes.length;
    if (this.#size > headerListLimit) {
      throw new ConnectionError(ErrorCode.enhanceYourCalm, `a header block of more than ${headerListLimit} bytes`);
    }
    this.#parts.push(bytes);
  }

  block(): Uint8Array {
    if (this.#parts.length === 1) return this.#parts[0];
    const block = new Uint8Array(this.#size);
    let at = 0;
    for (const part of this.#parts) {
      block.set(part, at);
      at += part.length;
    }
    return block;
  }
}
