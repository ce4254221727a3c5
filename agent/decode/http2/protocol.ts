/** Numbers of HTTP/2's wire (RFC 9113), and the limits that this implementation sets. */
import { ascii } from "../characters.ts";

export const FrameType = {
  data: 0,
  headers: 1,
  priority: 2,
  resetStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goAway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

export const FrameFlag = { endStream: 0x1, ack: 0x1, endHeaders: 0x4, padded: 0x8, priority: 0x20 } as const;

/** Error codes (RFC 9113 §7). */
export const ErrorCode = {
  noError: 0,
  protocolError: 1,
  internalError: 2,
  flowControlError: 3,
  settingsTimeout: 4,
  streamClosed: 5,
  frameSizeError: 6,
  refusedStream: 7,
  cancel: 8,
  compressionError: 9,
  connectError: 10,
  enhanceYourCalm: 11,
} as const;

export const Setting = {
  headerTableSize: 1,
  enablePush: 2,
  maxConcurrentStreams: 3,
  initialWindowSize: 4,
  maxFrameSize: 5,
  maxHeaderListSize: 6,
  /** RFC 8441 §3. */
  enableConnectProtocol: 8,
} as const;

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
