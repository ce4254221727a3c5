/** gRPC's message framing: a flag byte, four bytes of big-endian length, the message (gRPC over HTTP/2, "Length-Prefixed-Message"). */

const headerLength = 5;

/** The peer sent what is not a gRPC message that we asked for. */
export class GrpcFramingError extends Error {
  override readonly name = "GrpcFramingError";
}

/** One uncompressed message with its header. */
export function frameMessage(message: Uint8Array): Uint8Array<ArrayBuffer> {
  const framed = new Uint8Array(headerLength + message.length);
  new DataView(framed.buffer).setUint32(1, message.length);
  framed.set(message, headerLength);
  return framed;
}

/** Puts messages together again from chunks that may be split anywhere. */
export class FrameReader {
  readonly #limit: number;
  readonly #chunks: Uint8Array[] = [];
  #buffered = 0;

  /** `limit` bounds one message in bytes. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** The messages that this chunk completes. Throws {@link GrpcFramingError}. */
  push(chunk: Uint8Array): Uint8Array[] {
    const messages: Uint8Array[] = [];
    if (chunk.length > 0) this.#chunks.push(chunk);
    this.#buffered += chunk.length;
    while (this.#buffered >= headerLength) {
      const header = this.#peek(headerLength);
      if (header[0] !== 0) throw new GrpcFramingError(`compressed or unknown gRPC message (flag ${header[0]})`);
      const length = new DataView(header.buffer, header.byteOffset).getUint32(1);
      if (length > this.#limit) {
        throw new GrpcFramingError(`gRPC message of ${length} bytes; at most ${this.#limit} are taken`);
      }
      if (this.#buffered < headerLength + length) break;
      this.#take(headerLength);
      messages.push(this.#take(length));
    }
    return messages;
  }

  /** The first `length` bytes, which are buffered, without taking them. */
  #peek(length: number): Uint8Array {
    if (this.#chunks[0].length < length) this.#chunks.splice(0, this.#chunks.length, this.#joined());
    return this.#chunks[0].subarray(0, length);
  }

  #take(length: number): Uint8Array {
    if (length === 0) return new Uint8Array(0);
    const taken = this.#peek(length);
    const rest = this.#chunks[0].subarray(length);
    if (rest.length > 0) this.#chunks[0] = rest;
    else this.#chunks.shift();
    this.#buffered -= length;
    return taken;
  }

  #joined(): Uint8Array {
    const joined = new Uint8Array(this.#buffered);
    let at = 0;
    for (const chunk of this.#chunks) {
      joined.set(chunk, at);
      at += chunk.length;
    }
    return joined;
  }
}
