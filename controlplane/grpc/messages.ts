/** gRPC's message framing: a flag byte, four bytes of length, the message (gRPC over HTTP/2, "Length-Prefixed-Message"). */
import { GrpcError, Status } from "./status.ts";

const headerLength = 5;

/** What goes before a message of these pieces. */
export function messageHeader(pieces: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(headerLength);
  new DataView(bytes.buffer).setUint32(1, pieces.reduce((sum, { length }) => sum + length, 0));
  return bytes;
}

/** A message as it goes over the wire. */
export function frameMessage(message: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(headerLength + message.length);
  bytes.set(messageHeader([message]));
  bytes.set(message, headerLength);
  return bytes;
}

/** Cuts a stream of bytes into messages. */
export class MessageReader {
  #parts: Uint8Array[] = [];
  #length = 0;

  /** @param limit bytes of the largest message that is taken */
  constructor(readonly limit: number) {}

  /** True when nothing of a message is left over. */
  get atBoundary(): boolean {
    return this.#length === 0;
  }

  /** The messages that `bytes` completes. @throws {GrpcError} */
  *push(bytes: Uint8Array): Generator<Uint8Array> {
    this.#parts.push(bytes);
    this.#length += bytes.length;
    while (this.#length >= headerLength) {
      const header = this.#peek(headerLength);
      if (header[0] !== 0) throw new GrpcError(Status.unimplemented, "compressed messages are not taken");
      const length = new DataView(header.buffer, header.byteOffset).getUint32(1);
      if (length > this.limit) {
        throw new GrpcError(Status.resourceExhausted, `a message of ${length} bytes; ${this.limit} are taken`);
      }
      if (this.#length < headerLength + length) return;
      const all = this.#peek(this.#length);
      this.#parts = [all.subarray(headerLength + length)];
      this.#length -= headerLength + length;
      yield all.subarray(headerLength, headerLength + length);
    }
  }

  /** The first bytes, in one piece. */
  #peek(length: number): Uint8Array {
    if (this.#parts[0].length >= length) return this.#parts[0];
    const all = new Uint8Array(this.#length);
    let at = 0;
    for (const part of this.#parts) {
      all.set(part, at);
      at += part.length;
    }
    this.#parts = [all];
    return all;
  }
}
