/** The limits that this implementation of HTTP/2 sets, beside the numbers of the wire. */
import { ascii } from "../characters.ts";

export { ErrorCode, FrameFlag, FrameType, Setting } from "../../../http2/constants.ts";

export const frameHeaderSize = 9;
export const defaultWindow = 65535;
export const maximumWindow = 0x7fffffff;

/** What we tell the peer. */
export const Limit = {
  concurrentStreams: 100,
  streamWindow: 64 * 1024,
  connectionWindow: 1024 * 1024,
  /** The protocol's own default: frames stay small enough to be taken whole. */
  frameSize: 16384,
  /** Decoded, with 32 bytes for each field. */
  headerListSize: 32 * 1024,
  headerFields: 100,
  /** Compressed header block, over all its CONTINUATION frames. */
  headerBlock: 32 * 1024,
  continuations: 8,
  /** Control frames that we owe answers for, while the peer does not read. */
  queuedReplies: 1000,
  /** Streams that a peer may reset (or make us reset) before it has let as many finish. */
  prematureResets: 100,
  settingsTimeout: 10_000,
  /** How long a peer may go on opening streams after it has been told not to (Envoy's default `drain_timeout`). */
  drainNotice: 5000,
} as const;

/** RFC 9113 §3.4. */
export const preface: Uint8Array = ascii("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
