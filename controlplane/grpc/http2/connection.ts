/**
 * The server's side of one HTTP/2 connection (RFC 9113).
 *
 * Clients have shown a certificate of the mesh before a byte comes here; they may be faulty or compromised all the same,
 * so every queue has a bound and what makes work without end closes the connection.
 */
import type { TLSSocket } from "node:tls";
import { logger } from "../../../log/log.ts";
import {
  ConnectionError,
  content,
  ErrorCode,
  Flag,
  type Frame,
  frame,
  FrameReader,
  FrameType,
  largestFrame,
  readUint31,
  settingsPayload,
  uint32s,
} from "./frames.ts";
import { encodeHeaders, HeaderDecoder, headerListLimit } from "./header_blocks.ts";
import { HeaderFragments } from "./header_fragments.ts";
import type { Header } from "./header_blocks.ts";
import { Http2Stream, type StreamCarrier } from "./stream.ts";

export interface ConnectionOptions {
  /** A request has begun: sets the stream's events and answers. */
  accept(stream: Http2Stream, headers: Header[]): void;
  /** Milliseconds between two pings, and for a sign of life after one. */
  keepalive: { interval: number; timeout: number };
}

const log = logger("grpc");
const Setting = { maxConcurrentStreams: 3, initialWindowSize: 4, maxFrameSize: 5, maxHeaderListSize: 6 } as const;
const maxConcurrentStreams = 100;
/** Bytes that a client may send ahead on one stream, and on all of them. */
const streamWindow = 1024 * 1024;
const connectionWindow = 4 * 1024 * 1024;
/** RFC 9113 §6.9.2 */
const defaultWindow = 65_535;
const largestWindow = 2 ** 31 - 1;
/** Bytes handed to the socket and not yet sent, above which no more DATA goes out, and above which the client reads nothing. */
const fullSocket = 64 * 1024;
const stuckSocket = 4 * 1024 * 1024;
/** Milliseconds for a connection's first SETTINGS, and for one without streams. */
const prefaceDeadline = 10_000;
const idleDeadline = 300_000;
/** Milliseconds for a client to read why its connection ends. */
const lingering = 1_000;
/** Frames between two pings that bring nothing on; a reset costs us more than it costs the client. */
const idleFramesLimit = 1_000;
const resetCost = 10;

export class ServerConnection implements StreamCarrier {
  readonly #socket: TLSSocket;
  readonly #options: ConnectionOptions;
  readonly #reader = new FrameReader();
  readonly #decoder = new HeaderDecoder();
  readonly #streams = new Map<number, Http2Stream>();
  readonly #keepalive: ReturnType<typeof setInterval>;
  #deadline: ReturnType<typeof setTimeout>;
  #answerTimer: ReturnType<typeof setTimeout> | undefined;
  #settled = false;
  #lastStream = 0;
  #fragments: HeaderFragments | null = null;
  #sendWindow = defaultWindow;
  #initialSendWindow = defaultWindow;
  #receiveWindow = connectionWindow;
  #idleFrames = 0;
  #idleSince = performance.now();
  #heard = 0;
  #draining = false;
  #closed = false;

  constructor(socket: TLSSocket, options: ConnectionOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#deadline = setTimeout(() => this.destroy(), prefaceDeadline);
    this.#keepalive = setInterval(() => this.#checkLiveness(), options.keepalive.interval);
    socket.on("data", (bytes: Uint8Array) => this.#receive(bytes));
    socket.on("drain", () => this.#flushAll());
    socket.on("end", () => this.destroy());
    // Whatever it was: the socket closes, and that is dealt with.
    socket.on("error", () => {});
    socket.on("close", () => {
      this.#close();
      clearTimeout(this.#deadline);
    });
    this.#send(
      FrameType.settings,
      0,
      0,
      settingsPayload([
        [Setting.maxConcurrentStreams, maxConcurrentStreams],
        [Setting.initialWindowSize, streamWindow],
        [Setting.maxHeaderListSize, headerListLimit],
      ]),
    );
    this.#send(FrameType.windowUpdate, 0, 0, uint32s(connectionWindow - defaultWindow));
  }

  /** Takes no new streams, and closes when those that there are have ended. */
  drain(): void {
    if (this.#draining) return;
    this.#draining = true;
    this.#send(FrameType.goAway, 0, 0, uint32s(this.#lastStream, ErrorCode.noError));
    this.#endWhenDrained();
  }

  /** Closes at once; safe to call again. */
  destroy(): void {
    this.#socket.destroy();
    this.#close();
  }

  sendHeaders(stream: Http2Stream, headers: Header[], end: boolean): void {
    const block = encodeHeaders(headers);
    for (let at = 0; at === 0 || at < block.length; at += largestFrame) {
      const last = at + largestFrame >= block.length;
      const flags = (last ? Flag.endHeaders : 0) | (end && at === 0 ? Flag.endStream : 0);
      const type = at === 0 ? FrameType.headers : FrameType.continuation;
      this.#send(type, flags, stream.id, block.subarray(at, at + largestFrame));
    }
    if (end) this.#endLocally(stream);
  }

  flush(stream: Http2Stream): void {
    const { queue } = stream;
    while (queue.length > 0) {
      const room = Math.min(largestFrame, this.#sendWindow, stream.sendWindow);
      if (room <= 0 || this.#socket.writableLength > fullSocket || this.#closed) return;
      const payload = takeFrom(queue, room);
      this.#sendWindow -= payload.length;
      stream.sendWindow -= payload.length;
      this.#send(FrameType.data, 0, stream.id, payload);
    }
    if (stream.trailers !== null && !stream.localEnded) this.sendHeaders(stream, stream.trailers, true);
  }

  reset(stream: Http2Stream, code: number): void {
    this.#send(FrameType.resetStream, 0, stream.id, uint32s(code));
    this.#forget(stream);
  }

  #receive(bytes: Uint8Array): void {
    this.#heard++;
    try {
      for (const frame of this.#reader.push(bytes)) {
        if (this.#closed) return;
        this.#take(frame);
      }
    } catch (error) {
      this.#fail(error);
    }
  }

  /** One client's frames never end the process, whatever they meet with. */
  #fail(error: unknown): void {
    const expected = error instanceof ConnectionError;
    const reason = expected ? error.message : error instanceof Error ? error.stack : String(error);
    log[expected ? "warn" : "error"]("connection closed", { remote: this.#socket.remoteAddress, reason });
    const code = expected ? error.code : ErrorCode.internalError;
    this.#send(FrameType.goAway, 0, 0, uint32s(this.#lastStream, code));
    this.#socket.end();
    this.#close();
    this.#deadline = setTimeout(() => this.#socket.destroy(), lingering);
  }

  #take(frame: Frame): void {
    if (!this.#settled && (frame.type !== FrameType.settings || frame.flags & Flag.ack)) {
      throw new ConnectionError(ErrorCode.protocolError, "the first frame is not SETTINGS");
    }
    if (this.#fragments !== null && frame.type !== FrameType.continuation) {
      throw new ConnectionError(ErrorCode.protocolError, "a header block is interrupted");
    }
    switch (frame.type) {
      case FrameType.data:
        return this.#takeData(frame);
      case FrameType.headers:
        return this.#takeHeaders(frame);
      case FrameType.continuation:
        return this.#takeContinuation(frame);
      case FrameType.resetStream:
        return this.#takeReset(frame);
      case FrameType.settings:
        return this.#takeSettings(frame);
      case FrameType.ping:
        return this.#takePing(frame);
      case FrameType.windowUpdate:
        return this.#takeWindowUpdate(frame);
      case FrameType.pushPromise:
        throw new ConnectionError(ErrorCode.protocolError, "clients do not push");
      case FrameType.goAway:
        // The client opens no more streams and closes when it has done with those that there are.
        return;
      default:
        // PRIORITY means nothing any more (RFC 9113 §5.3); unknown types are ignored (§4.1).
        this.#countIdle(1);
    }
  }

  #takeData(frame: Frame): void {
    const { length } = frame.payload;
    if (frame.stream === 0 || frame.stream > this.#lastStream) throw notOpen(frame);
    const ends = (frame.flags & Flag.endStream) !== 0;
    if (length === 0 && !ends) this.#countIdle(1);
    this.#receiveWindow -= length;
    // What has come is taken at once, and half a window is more than a frame: no client can exceed it.
    if (this.#receiveWindow < connectionWindow / 2) {
      this.#send(FrameType.windowUpdate, 0, 0, uint32s(connectionWindow - this.#receiveWindow));
      this.#receiveWindow = connectionWindow;
    }
    const stream = this.#streams.get(frame.stream);
    // Reset by us a moment ago, perhaps.
    if (stream === undefined) return;
    if (stream.remoteEnded) return stream.reset(ErrorCode.streamClosed);
    stream.receiveWindow -= length;
    if (!ends && stream.receiveWindow < streamWindow / 2) {
      this.#send(FrameType.windowUpdate, 0, stream.id, uint32s(streamWindow - stream.receiveWindow));
      stream.receiveWindow = streamWindow;
    }
    const bytes = content(frame);
    if (bytes.length > 0) stream.events.data(bytes);
    if (ends) this.#endRemotely(stream);
  }

  #takeHeaders(frame: Frame): void {
    if (frame.stream % 2 === 0) throw notOpen(frame);
    this.#fragments = new HeaderFragments(frame.stream, (frame.flags & Flag.endStream) !== 0);
    this.#addFragment(content(frame), frame);
  }

  #takeContinuation(frame: Frame): void {
    if (this.#fragments?.stream !== frame.stream) {
      throw new ConnectionError(ErrorCode.protocolError, "CONTINUATION of nothing");
    }
    if (frame.payload.length === 0) this.#countIdle(1);
    this.#addFragment(frame.payload, frame);
  }

  #addFragment(bytes: Uint8Array, { flags }: Frame): void {
    const fragments = this.#fragments!;
    fragments.add(bytes);
    if (!(flags & Flag.endHeaders)) return;
    this.#fragments = null;
    // Also for streams that are refused: the table is the connection's.
    this.#takeHeaderList(fragments, this.#decoder.decode(fragments.block()));
  }

  #takeHeaderList({ stream: id, endsStream }: HeaderFragments, headers: Header[]): void {
    const known = this.#streams.get(id);
    if (known !== undefined) {
      // Trailers, in which gRPC's clients say nothing.
      if (known.remoteEnded || !endsStream) return known.reset(ErrorCode.protocolError);
      return this.#endRemotely(known);
    }
    if (id <= this.#lastStream) return this.#countIdle(1);
    // A stream that the client opened before it knew of our GOAWAY (RFC 9113 §6.8): it tries again elsewhere.
    if (this.#draining) return;
    this.#lastStream = id;
    const stream = new Http2Stream(id, this, this.#initialSendWindow, streamWindow);
    this.#streams.set(id, stream);
    if (this.#streams.size > maxConcurrentStreams) {
      this.#countIdle(resetCost);
      return stream.reset(ErrorCode.refusedStream);
    }
    this.#options.accept(stream, headers);
    if (endsStream) this.#endRemotely(stream);
  }

  #takeReset(frame: Frame): void {
    if (frame.payload.length !== 4) throw wrongSize(frame);
    if (frame.stream === 0 || frame.stream > this.#lastStream) throw notOpen(frame);
    this.#countIdle(resetCost);
    const stream = this.#streams.get(frame.stream);
    if (stream !== undefined) this.#forget(stream);
  }

  #takeSettings(frame: Frame): void {
    const { payload, flags, stream } = frame;
    if (stream !== 0) throw notOpen(frame);
    if (payload.length % 6 !== 0 || (flags & Flag.ack && payload.length > 0)) throw wrongSize(frame);
    this.#settled = true;
    clearTimeout(this.#deadline);
    if (flags & Flag.ack) return;
    this.#countIdle(1);
    const view = new DataView(payload.buffer, payload.byteOffset, payload.length);
    for (let at = 0; at < payload.length; at += 6) this.#takeSetting(view.getUint16(at), view.getUint32(at + 2));
    this.#send(FrameType.settings, Flag.ack, 0, new Uint8Array(0));
    this.#flushAll();
  }

  /** Others than these change nothing for a server that sends small frames and headers without a table. */
  #takeSetting(id: number, value: number): void {
    if (id === Setting.initialWindowSize) {
      if (value > largestWindow) throw new ConnectionError(ErrorCode.flowControlError, `a window of ${value} bytes`);
      for (const stream of this.#streams.values()) stream.sendWindow += value - this.#initialSendWindow;
      this.#initialSendWindow = value;
    } else if (id === Setting.maxFrameSize && (value < largestFrame || value >= 2 ** 24)) {
      throw new ConnectionError(ErrorCode.protocolError, `frames of ${value} bytes`);
    }
  }

  #takePing(frame: Frame): void {
    if (frame.stream !== 0) throw notOpen(frame);
    if (frame.payload.length !== 8) throw wrongSize(frame);
    if (frame.flags & Flag.ack) return;
    this.#countIdle(1);
    this.#send(FrameType.ping, Flag.ack, 0, frame.payload);
  }

  #takeWindowUpdate(frame: Frame): void {
    if (frame.payload.length !== 4) throw wrongSize(frame);
    const increment = readUint31(frame.payload, 0);
    if (frame.stream === 0) {
      this.#sendWindow += increment;
      if (increment === 0 || this.#sendWindow > largestWindow) {
        throw new ConnectionError(ErrorCode.flowControlError, `a window opened by ${increment}`);
      }
      return this.#flushAll();
    }
    if (frame.stream > this.#lastStream) throw notOpen(frame);
    const stream = this.#streams.get(frame.stream);
    if (stream === undefined) return;
    stream.sendWindow += increment;
    if (increment === 0 || stream.sendWindow > largestWindow) return stream.reset(ErrorCode.flowControlError);
    this.flush(stream);
  }

  #endRemotely(stream: Http2Stream): void {
    stream.remoteEnded = true;
    stream.events.end();
    if (stream.localEnded) this.#forget(stream);
  }

  #endLocally(stream: Http2Stream): void {
    stream.localEnded = true;
    // An answer that is complete before its request asks the client to stop sending (RFC 9113 §8.1).
    if (!stream.remoteEnded) this.#send(FrameType.resetStream, 0, stream.id, uint32s(ErrorCode.noError));
    this.#forget(stream);
  }

  #forget(stream: Http2Stream): void {
    if (!this.#streams.delete(stream.id)) return;
    stream.localEnded = true;
    stream.remoteEnded = true;
    stream.queue.length = 0;
    stream.events.closed();
    if (this.#streams.size === 0) this.#idleSince = performance.now();
    this.#endWhenDrained();
  }

  #endWhenDrained(): void {
    if (this.#draining && this.#streams.size === 0 && !this.#closed) this.#socket.end();
  }

  #flushAll(): void {
    for (const stream of [...this.#streams.values()]) this.flush(stream);
  }

  #send(type: number, flags: number, stream: number, payload: Uint8Array): void {
    if (this.#closed || !this.#socket.writable) return;
    this.#socket.write(frame(type, flags, stream, payload));
    // Answers to pings and the like wait without a window: whoever asks for them has to read them.
    if (this.#socket.writableLength > stuckSocket) this.destroy();
  }

  #countIdle(cost: number): void {
    this.#idleFrames += cost;
    if (this.#idleFrames > idleFramesLimit) {
      throw new ConnectionError(ErrorCode.enhanceYourCalm, "too many frames that bring nothing on");
    }
  }

  #checkLiveness(): void {
    this.#idleFrames = 0;
    if (this.#streams.size === 0 && performance.now() - this.#idleSince > idleDeadline) return this.drain();
    if (this.#answerTimer !== undefined) return;
    const before = this.#heard;
    this.#send(FrameType.ping, 0, 0, new Uint8Array(8));
    this.#answerTimer = setTimeout(() => {
      // When it was this process that did nothing for so long, the answer is there and only has to be read.
      this.#answerTimer = setTimeout(() => {
        this.#answerTimer = undefined;
        if (this.#heard === before) this.destroy();
      }, 10);
    }, this.#options.keepalive.timeout);
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#deadline);
    clearTimeout(this.#answerTimer);
    clearInterval(this.#keepalive);
    for (const stream of [...this.#streams.values()]) this.#forget(stream);
  }
}

/** Takes up to so many bytes from the front of a queue: small pieces are gathered, so that they go out in one frame. */
function takeFrom(queue: Uint8Array[], room: number): Uint8Array {
  const [first] = queue;
  if (first.length > room) {
    queue[0] = first.subarray(room);
    return first.subarray(0, room);
  }
  if (queue.length === 1) return queue.pop()!;
  let pieces = 0;
  let length = 0;
  while (pieces < queue.length && length + queue[pieces].length <= room) length += queue[pieces++].length;
  const gathered = new Uint8Array(length);
  let at = 0;
  for (const piece of queue.splice(0, pieces)) {
    gathered.set(piece, at);
    at += piece.length;
  }
  return gathered;
}

function notOpen({ type, stream }: Frame): ConnectionError {
  return new ConnectionError(ErrorCode.protocolError, `a frame of type ${type} on stream ${stream}`);
}

function wrongSize({ type, payload }: Frame): ConnectionError {
  return new ConnectionError(ErrorCode.frameSizeError, `a frame of type ${type} with ${payload.length} bytes`);
}
