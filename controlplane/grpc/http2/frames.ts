/** HTTP/2's frames on the wire (RFC 9113 §4 and §6): reading them one by one from a stream of bytes, writing them. */

import { ErrorCode, FrameFlag as Flag, FrameType } from "../../../http2/constants.ts";

export { ErrorCode, Flag, FrameType };

/** Ends the connection with a GOAWAY (RFC 9113 §5.4.1). */
export class ConnectionError extends Error {
  override readonly name = "ConnectionError";
  /** @param code one of {@link ErrorCode} */
  constructor(readonly code: number, message: string) {
    super(message);
  }
}

export interface Frame {
  type: number;
  flags: number;
  stream: number;
  payload: Uint8Array;
}

/** What every client sends first (RFC 9113 §3.4). */
export const preface: Uint8Array = new TextEncoder().encode("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
const headerLength = 9;
/** SETTINGS_MAX_FRAME_SIZE where nothing else was agreed, which holds both ways here. */
export const largestFrame = 16_384;

/** Cuts what a peer sends into frames. */
export class FrameReader {
  #rest: Uint8Array = new Uint8Array(0);
  #begun: boolean;

  /** With `preface`, that comes before the first frame: clients send one. */
  constructor(options = { preface: true }) {
    this.#begun = !options.preface;
  }

  /** The frames that `chunk` completes. @throws {ConnectionError} */
  *push(chunk: Uint8Array): Generator<Frame> {
    let bytes = chunk;
    if (this.#rest.length > 0) {
      bytes = new Uint8Array(this.#rest.length + chunk.length);
      bytes.set(this.#rest);
      bytes.set(chunk, this.#rest.length);
    }
    let at = 0;
    if (!this.#begun) {
      const compared = Math.min(bytes.length, preface.length);
      if (bytes.subarray(0, compared).some((byte, index) => byte !== preface[index])) {
        throw new ConnectionError(ErrorCode.protocolError, "the connection does not begin as HTTP/2 does");
      }
      this.#begun = compared === preface.length;
      if (this.#begun) at = compared;
    }
    while (this.#begun && bytes.length - at >= headerLength) {
      const length = bytes[at] << 16 | bytes[at + 1] << 8 | bytes[at + 2];
      if (length > largestFrame) {
        throw new ConnectionError(ErrorCode.frameSizeError, `a frame of ${length} bytes; ${largestFrame} are allowed`);
      }
      const end = at + headerLength + length;
      if (bytes.length < end) break;
      const frame = {
        type: bytes[at + 3],
        flags: bytes[at + 4],
        stream: readUint31(bytes, at + 5),
        payload: bytes.subarray(at + headerLength, end),
      };
      at = end;
      yield frame;
    }
    this.#rest = bytes.slice(at);
  }
}

/** A frame's bytes. */
export function frame(type: number, flags: number, stream: number, payload: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(headerLength + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, payload.length << 8 | type);
  bytes[4] = flags;
  view.setUint32(5, stream);
  bytes.set(payload, headerLength);
  return bytes;
}

/** 31 bits; the one before them means nothing (RFC 9113 §4.1). */
export function readUint31(bytes: Uint8Array, at: number): number {
  return ((bytes[at] & 0x7f) << 24 | bytes[at + 1] << 16 | bytes[at + 2] << 8 | bytes[at + 3]) >>> 0;
}

/** Numbers of 32 bits one behind the other. */
export function uint32s(...values: number[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(4 * values.length);
  const view = new DataView(bytes.buffer);
  values.forEach((value, index) => view.setUint32(4 * index, value));
  return bytes;
}

/** Settings as a SETTINGS frame carries them: pairs of identifier and value (RFC 9113 §6.5.1). */
export function settingsPayload(settings: [id: number, value: number][]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(6 * settings.length);
  const view = new DataView(bytes.buffer);
  settings.forEach(([id, value], index) => {
    view.setUint16(6 * index, id);
    view.setUint32(6 * index + 2, value);
  });
  return bytes;
}

/** The payload of a DATA or HEADERS frame without padding and priority. @throws {ConnectionError} */
export function content({ type, flags, payload }: Frame): Uint8Array {
  let start = 0;
  let end = payload.length;
  if (flags & Flag.padded) {
    start = 1;
    end -= payload[0] ?? payload.length;
  }
  if (type === FrameType.headers && flags & Flag.priority) start += 5;
  if (start > end) throw new ConnectionError(ErrorCode.protocolError, "more padding than payload");
  return payload.subarray(start, end);
}
