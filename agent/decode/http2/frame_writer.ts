/** Writes HTTP/2 frames to a connection's output queue (RFC 9113 §6). */
import type { ByteQueue } from "../../worker/buffers.ts";
import { FrameFlag, frameHeaderSize, FrameType } from "./protocol.ts";

export class FrameWriter {
  /** The stream whose DATA frame was written last of all, and where that frame ends: it can still be made the last one. */
  #lastDataStream = 0;
  #lastDataEnd = 0;
  #lastDataSize = 0;

  constructor(private readonly out: ByteQueue) {}

  /** Writes a frame header; the payload follows. */
  header(length: number, type: number, flags: number, stream: number): void {
    const { out } = this;
    this.seal();
    out.reserve(frameHeaderSize + length);
    const bytes = out.bytes;
    let at = out.end;
    bytes[at++] = length >> 16;
    bytes[at++] = length >> 8;
    bytes[at++] = length;
    bytes[at++] = type;
    bytes[at++] = flags;
    bytes[at++] = stream >>> 24;
    bytes[at++] = stream >>> 16;
    bytes[at++] = stream >>> 8;
    bytes[at++] = stream;
    out.end = at;
  }

  /** What stands in the queue is not changed any more: TLS may have made a record of it that waits for the socket. */
  seal(): void {
    this.#lastDataStream = 0;
  }

  data(stream: number, bytes: Uint8Array, offset: number, size: number, endStream: boolean): void {
    this.header(size, FrameType.data, endStream ? FrameFlag.endStream : 0, stream);
    this.out.append(bytes, offset, size);
    this.#lastDataStream = stream;
    this.#lastDataEnd = this.out.end;
    this.#lastDataSize = size;
  }

  /** Ends a stream: by a flag on its DATA frame where that is the last thing written, else by an empty one. */
  endStream(stream: number): void {
    const { out } = this;
    const start = this.#lastDataEnd - this.#lastDataSize - frameHeaderSize;
    if (this.#lastDataStream === stream && out.length > 0 && this.#lastDataEnd === out.end && start >= out.start) {
      out.bytes[start + 4] |= FrameFlag.endStream;
      this.seal();
    } else this.data(stream, out.bytes, 0, 0, true);
  }

  /** Writes a header block, in as many frames as the peer's frame size asks for. */
  headers(stream: number, block: ByteQueue, endStream: boolean, frameSize: number): void {
    let position = block.start;
    let type: number = FrameType.headers;
    let flags: number = endStream ? FrameFlag.endStream : 0;
    do {
      const size = Math.min(frameSize, block.end - position);
      if (position + size === block.end) flags |= FrameFlag.endHeaders;
      this.header(size, type, flags, stream);
      this.out.append(block.bytes, position, size);
      position += size;
      type = FrameType.continuation;
      flags = 0;
    } while (position < block.end);
  }

  /** `pairs`: settings and their values in turn. */
  settings(...pairs: number[]): void {
    this.header(pairs.length * 3, FrameType.settings, 0, 0);
    for (let i = 0; i < pairs.length; i += 2) {
      this.#byte(pairs[i] >> 8);
      this.#byte(pairs[i]);
      this.#word(pairs[i + 1]);
    }
  }

  settingsAck(): void {
    this.header(0, FrameType.settings, FrameFlag.ack, 0);
  }

  pingAck(bytes: Uint8Array, offset: number): void {
    this.header(8, FrameType.ping, FrameFlag.ack, 0);
    this.out.append(bytes, offset, 8);
  }

  /** A PING of our own; what it carries is of no account. */
  ping(): void {
    this.header(8, FrameType.ping, 0, 0);
    this.#word(0);
    this.#word(0);
  }

  windowUpdate(stream: number, increment: number): void {
    this.header(4, FrameType.windowUpdate, 0, stream);
    this.#word(increment);
  }

  resetStream(stream: number, code: number): void {
    this.header(4, FrameType.resetStream, 0, stream);
    this.#word(code);
  }

  goAway(lastStream: number, code: number): void {
    this.header(8, FrameType.goAway, 0, 0);
    this.#word(lastStream);
    this.#word(code);
  }

  #word(value: number): void {
    this.#byte(value >>> 24);
    this.#byte(value >>> 16);
    this.#byte(value >>> 8);
    this.#byte(value);
  }

  /** Room has been made with the frame's header. */
  #byte(value: number): void {
    this.out.bytes[this.out.end++] = value;
  }
}
