/**
 * An HTTP/2 connection (RFC 9113), the part that is the same for both sides: frames, settings, header blocks, flow
 * control, limits. Sides extend it with what a new stream is.
 */
import { AgentSlot, agentSlot } from "../../config/shared_memory.ts";
import { END_OF_STREAM, FAILED, WOULD_BLOCK } from "../../sys/socket.ts";
import type { TlsSession } from "../../sys/tls_session.ts";
import { ByteQueue } from "../../worker/buffers.ts";
import { Connection, highWaterMark, lowWaterMark } from "../../worker/connection.ts";
import type { DataThread } from "../../worker/thread.ts";
import type { Transport } from "../../worker/transport.ts";
import { HpackDecoder, HpackError } from "../hpack/hpack_decoder.ts";
import { HpackEncoder } from "../hpack/hpack_encoder.ts";
import { FrameWriter } from "./frame_writer.ts";
import { appendLines } from "./header_block.ts";
import { PartialBlock } from "./partial_block.ts";
import { PeerBudget } from "./peer_budget.ts";
import { PeerSettings } from "./peer_settings.ts";
import {
  defaultWindow,
  ErrorCode,
  FrameFlag,
  frameHeaderSize,
  FrameType,
  Limit,
  maximumWindow,
  Setting,
} from "./protocol.ts";
import type { Http2Stream } from "./stream.ts";

/** Streams closed by us whose peer may not know yet: their frames are ignored, not answered. */
const rememberedResets = 1000;
/** Above this much unsent output (bytes), nothing more is taken from a peer that makes us answer. */
const overfullMark = 4 * highWaterMark;

export abstract class Http2Connection<S extends Http2Stream> extends Connection {
  readonly streams = new Map<number, S>();
  readonly encoder = new HpackEncoder();
  readonly frames: FrameWriter;
  /** What the peer lets us send, over all streams. */
  sendWindow: number = defaultWindow;
  readonly peer = new PeerSettings();
  readonly #budget = new PeerBudget();
  /** The highest stream that the peer has opened. */
  protected lastPeerStream = 0;
  /** No new streams: the connection ends when the last one does. */
  protected goingAway = false;
  readonly #decoder = new HpackDecoder();
  readonly #partial: ByteQueue;
  readonly #block: PartialBlock;
  #blockEndsStream = false;
  #receiveWindow: number = Limit.connectionWindow;
  #unacknowledged = 0;
  /** Reading has been stopped: the peer asks for more than it takes. */
  #overfull = false;
  #lastFlush = 0;
  #settingsAcknowledged = false;
  readonly #resets = new Set<number>();
  /** The last stream that our GOAWAY has named; those above it are ignored. */
  #lastServed = maximumWindow;
  /** The stream that was served first when the connection's window opened last. */
  #servedFirst = 0;

  constructor(thread: DataThread, socket: Transport, tls: TlsSession | null) {
    super(thread, socket);
    this.tls = tls;
    this.#partial = new ByteQueue(thread.slabs);
    this.#block = new PartialBlock(thread.slabs);
    this.frames = new FrameWriter(this.out);
    if (tls !== null) thread.loop.defer(this);
  }

  /** Bytes before the first frame that are still to come (the server's side of the preface); 0: all there. */
  protected takePreface(_bytes: Uint8Array, _position: number, _end: number): number {
    return 0;
  }

  /** A header block for a stream that does not exist yet has been decoded into the thread's sink. */
  protected abstract openStream(id: number, endStream: boolean, tooLarge: boolean): void;
  /** Whether the peer opens streams with this number. */
  protected abstract isPeerStream(id: number): boolean;
  /** The highest stream that we have opened. */
  protected abstract get lastOwnStream(): number;
  protected abstract onGoAway(lastStream: number): void;
  /** The last stream is gone. */
  protected abstract onIdle(): void;
  /** A stream is gone: there is room for another. */
  protected onRoom(): void {}

  /** The first frames that we send. `pairs`: settings and their values. */
  protected greet(...pairs: number[]): void {
    this.frames.settings(
      Setting.initialWindowSize,
      Limit.streamWindow,
      Setting.maxHeaderListSize,
      Limit.headerListSize,
      ...pairs,
    );
    this.frames.windowUpdate(0, Limit.connectionWindow - defaultWindow);
    this.scheduleFlush();
  }

  /** Whether the peer is the one that asks: what it makes us do is then limited. */
  protected abstract readonly servesPeer: boolean;
  /** The peer does not read what it has asked for. */
  protected onStalled(): void {}
  /** The peer has answered a PING of ours, and with it seen all that went before. */
  protected onPingAck(): void {}
  /** A header block has begun that is to be continued. */
  protected onPartialBlock(): void {}

  /** Since when a header block has been incomplete, on the loop's clock; -1: none is. */
  get partialBlockSince(): number {
    return this.#block.stream === 0 ? -1 : this.#block.since;
  }
  /** When output last went out, or there was none, on the loop's clock. */
  get lastFlush(): number {
    return this.#lastFlush;
  }

  get settingsAcknowledged(): boolean {
    return this.#settingsAcknowledged;
  }

  // ---------------------------------------------------------------------------------------------------- writing

  /** Begins a header block, in memory that all of the thread's share: fields are encoded into it in their order. */
  beginHeaders(): ByteQueue {
    const { headerBlock } = this.thread;
    this.encoder.beginBlock(headerBlock);
    return headerBlock;
  }

  /** Sends the header block that has been begun, with `lines` behind what it holds; empties both. */
  sendHeaders(stream: number, lines: ByteQueue, endStream: boolean): void {
    const { headerBlock } = this.thread;
    appendLines(this.encoder, headerBlock, lines);
    lines.clear();
    this.frames.headers(stream, headerBlock, endStream, this.peer.frameSize);
    headerBlock.clear();
    this.scheduleFlush();
  }

  // ---------------------------------------------------------------------------------------------------- reading

  protected override onReadable(): void {
    do {
      const kept = this.#partial.length;
      if (kept > 0) this.thread.input.bytes.set(this.#partial.bytes.subarray(this.#partial.start, this.#partial.end));
      const count = this.read(kept);
      if (count === WOULD_BLOCK) return;
      if (count === END_OF_STREAM) this.flush(); // who has said all may still read what has been put off for it
      if (count === END_OF_STREAM || count === FAILED) return this.fail();
      this.#partial.clear();
      this.#consume(kept + count);
      // Half a frame from a sender with Nagle's algorithm: the rest waits for our acknowledgement.
      if (this.#partial.length > 0 && this.out.length === 0) this.socket.acknowledgeNow();
      this.#pauseIfOverfull();
    } while (!this.closed && !this.closing && this.reading && this.tls !== null && this.tls.hasPending());
  }

  protected override continueInput(): void {
    if (this.tls !== null && !this.closing && this.reading && this.tls.hasPending()) this.onReadable();
  }

  #consume(end: number): void {
    const bytes = this.thread.input.bytes;
    let position = this.takePreface(bytes, 0, end);
    while (position >= 0 && end - position >= frameHeaderSize && !this.closed && !this.closing) {
      const length = bytes[position] << 16 | bytes[position + 1] << 8 | bytes[position + 2];
      if (length > Limit.frameSize) return this.connectionError(ErrorCode.frameSizeError);
      if (end - position < frameHeaderSize + length) break;
      const id = (bytes[position + 5] & 127) << 24 | bytes[position + 6] << 16 | bytes[position + 7] << 8 |
        bytes[position + 8];
      const payload = position + frameHeaderSize;
      this.#onFrame(bytes, bytes[position + 3], bytes[position + 4], id, payload, payload + length);
      position = payload + length;
    }
    if (this.closed || this.closing) return;
    const rest = Math.max(position, 0);
    if (rest < end) this.#partial.append(bytes, rest, end - rest);
  }

  #onFrame(bytes: Uint8Array<ArrayBuffer>, type: number, flags: number, id: number, start: number, end: number): void {
    if (!this.peer.received && type !== FrameType.settings) return this.connectionError(ErrorCode.protocolError);
    if (this.#block.stream !== 0 && (type !== FrameType.continuation || id !== this.#block.stream)) {
      return this.connectionError(ErrorCode.protocolError);
    }
    switch (type) {
      case FrameType.data:
        return this.#onData(bytes, flags, id, start, end);
      case FrameType.headers:
        return this.#onHeaders(bytes, flags, id, start, end);
      case FrameType.priority:
        return this.#onPriority(bytes, id, start, end);
      case FrameType.resetStream:
        return this.#onReset(bytes, id, start, end);
      case FrameType.settings:
        return this.#onSettings(bytes, flags, id, start, end);
      case FrameType.pushPromise:
        return this.connectionError(ErrorCode.protocolError);
      case FrameType.ping:
        return this.#onPing(bytes, flags, id, start, end);
      case FrameType.goAway:
        if (id !== 0) return this.connectionError(ErrorCode.protocolError);
        if (end - start < 8) return this.connectionError(ErrorCode.frameSizeError);
        this.goingAway = true;
        return this.onGoAway(unsigned31(bytes, start));
      case FrameType.windowUpdate:
        return this.#onWindowUpdate(bytes, id, start, end);
      case FrameType.continuation:
        return this.#onContinuation(bytes, flags, id, start, end);
    }
    // RFC 9113 §4.1: frames of unknown types are ignored.
  }

  #onData(bytes: Uint8Array<ArrayBuffer>, flags: number, id: number, start: number, end: number): void {
    if (id === 0 || this.#isIdle(id)) return this.connectionError(ErrorCode.protocolError);
    // Padding counts against the windows (RFC 9113 §6.1).
    const size = end - start;
    this.#receiveWindow -= size;
    if (this.#receiveWindow < 0) return this.connectionError(ErrorCode.flowControlError);
    this.#giveBack(size);
    let dataStart = start;
    let dataEnd = end;
    if ((flags & FrameFlag.padded) !== 0) {
      if (size === 0) return this.connectionError(ErrorCode.frameSizeError);
      dataStart++;
      dataEnd -= bytes[start];
      if (dataEnd < dataStart) return this.connectionError(ErrorCode.protocolError);
    }
    const endStream = (flags & FrameFlag.endStream) !== 0;
    if (!this.#countEmpty(dataEnd === dataStart && !endStream)) return;
    const stream = this.streams.get(id);
    if (stream === undefined) {
      if (!this.#isForgotten(id)) this.connectionError(ErrorCode.streamClosed);
      return;
    }
    if (stream.remoteClosed) return this.streamError(stream, ErrorCode.streamClosed);
    stream.receiveWindow -= size;
    if (stream.receiveWindow < 0) return this.streamError(stream, ErrorCode.flowControlError);
    stream.onData(bytes, dataStart, dataEnd - dataStart, size, endStream);
  }

  #onHeaders(bytes: Uint8Array<ArrayBuffer>, flags: number, id: number, start: number, end: number): void {
    if (id === 0) return this.connectionError(ErrorCode.protocolError);
    let blockStart = start;
    let blockEnd = end;
    if ((flags & FrameFlag.padded) !== 0) {
      if (end === start) return this.connectionError(ErrorCode.frameSizeError);
      blockStart++;
      blockEnd -= bytes[start];
    }
    let dependsOnItself = false;
    if ((flags & FrameFlag.priority) !== 0) {
      if (blockEnd - blockStart < 5) return this.connectionError(ErrorCode.protocolError);
      dependsOnItself = unsigned31(bytes, blockStart) === id;
      blockStart += 5;
    }
    if (blockEnd < blockStart) return this.connectionError(ErrorCode.protocolError);
    if (dependsOnItself) return this.connectionError(ErrorCode.protocolError);
    this.#blockEndsStream = (flags & FrameFlag.endStream) !== 0;
    if ((flags & FrameFlag.endHeaders) !== 0) return this.#onBlock(id, bytes, blockStart, blockEnd);
    this.#block.begin(id, this.thread.loop.now);
    this.#block.bytes.append(bytes, blockStart, blockEnd - blockStart);
    this.onPartialBlock();
  }

  #onContinuation(bytes: Uint8Array<ArrayBuffer>, flags: number, id: number, start: number, end: number): void {
    if (this.#block.stream === 0) return this.connectionError(ErrorCode.protocolError);
    const last = (flags & FrameFlag.endHeaders) !== 0;
    if (!this.#countEmpty(start === end && !last)) return;
    if (!this.#block.append(bytes, start, end)) return this.connectionError(ErrorCode.enhanceYourCalm);
    if (!last) return;
    this.#block.stream = 0;
    const block = this.#block.bytes;
    this.#onBlock(id, block.bytes, block.start, block.end);
    this.#block.clear();
  }

  /** A header block is complete: it must be decoded whatever becomes of its stream (RFC 9113 §4.3). */
  #onBlock(id: number, bytes: Uint8Array, start: number, end: number): void {
    const sink = this.thread.headerSink;
    sink.begin(Limit.headerListSize, Limit.headerFields);
    const result = this.#decoder.decode(bytes, start, end, sink);
    if (result < 0 && result !== HpackError.headersTooLarge) return this.connectionError(ErrorCode.compressionError);
    const tooLarge = result === HpackError.headersTooLarge;
    const stream = this.streams.get(id);
    if (stream !== undefined) {
      if (stream.remoteClosed) return this.connectionError(ErrorCode.streamClosed);
      if (sink.malformed || tooLarge) return this.streamError(stream, ErrorCode.protocolError);
      return stream.onHeaders(this.#blockEndsStream);
    }
    if (this.#isForgotten(id)) {
      if (this.isPeerStream(id)) this.lastPeerStream = Math.max(this.lastPeerStream, id);
      return;
    }
    if (!this.isPeerStream(id)) return this.connectionError(ErrorCode.protocolError);
    if (id <= this.lastPeerStream) return this.connectionError(ErrorCode.streamClosed);
    this.lastPeerStream = id;
    this.openStream(id, this.#blockEndsStream, tooLarge);
  }

  #onPriority(bytes: Uint8Array, id: number, start: number, end: number): void {
    // Priorities are ignored (RFC 9113 §5.3.2); their form is not.
    if (id === 0) return this.connectionError(ErrorCode.protocolError);
    if (end - start !== 5) return this.resetUnknown(id, ErrorCode.frameSizeError);
    if (unsigned31(bytes, start) === id) this.resetUnknown(id, ErrorCode.protocolError);
    Atomics.add(this.thread.shared, agentSlot + AgentSlot.priorityFrames, 1);
  }

  #onReset(bytes: Uint8Array, id: number, start: number, end: number): void {
    if (end - start !== 4) return this.connectionError(ErrorCode.frameSizeError);
    if (id === 0 || this.#isIdle(id)) return this.connectionError(ErrorCode.protocolError);
    const stream = this.streams.get(id);
    if (stream === undefined) return;
    this.#forget(stream);
    stream.onReset(unsigned32(bytes, start));
    this.#countPrematureReset(stream);
  }

  #onSettings(bytes: Uint8Array, flags: number, id: number, start: number, end: number): void {
    if (id !== 0) return this.connectionError(ErrorCode.protocolError);
    if ((flags & FrameFlag.ack) !== 0) {
      if (end !== start) return this.connectionError(ErrorCode.frameSizeError);
      this.#settingsAcknowledged = true;
      return;
    }
    if ((end - start) % 6 !== 0) return this.connectionError(ErrorCode.frameSizeError);
    this.peer.received = true;
    for (let i = start; i < end; i += 6) {
      const error = this.#set(bytes[i] << 8 | bytes[i + 1], unsigned32(bytes, i + 2));
      if (error !== 0) return this.connectionError(error);
    }
    this.frames.settingsAck();
    this.#countReply();
    this.#sendPending();
    if (!this.closed) this.onRoom();
  }

  /** 0 or an error code. */
  #set(setting: number, value: number): number {
    const { peer } = this;
    const before = peer.initialWindow;
    const error = peer.set(setting, value);
    if (error !== 0) return error;
    // One after the other: a table made smaller on the way loses entries (RFC 7541 §4.2).
    if (setting === Setting.headerTableSize) this.encoder.setMaximumTableSize(value);
    const change = peer.initialWindow - before;
    if (change === 0) return 0;
    for (const stream of this.streams.values()) {
      stream.sendWindow += change;
      if (stream.sendWindow > maximumWindow) return ErrorCode.flowControlError;
    }
    return 0;
  }

  #onPing(bytes: Uint8Array, flags: number, id: number, start: number, end: number): void {
    if (id !== 0) return this.connectionError(ErrorCode.protocolError);
    if (end - start !== 8) return this.connectionError(ErrorCode.frameSizeError);
    if ((flags & FrameFlag.ack) !== 0) return this.onPingAck();
    this.frames.pingAck(bytes, start);
    this.#countReply();
  }

  #onWindowUpdate(bytes: Uint8Array, id: number, start: number, end: number): void {
    if (end - start !== 4) return this.connectionError(ErrorCode.frameSizeError);
    const increment = unsigned31(bytes, start);
    if (id === 0) {
      if (increment === 0) return this.connectionError(ErrorCode.protocolError);
      this.sendWindow += increment;
      if (this.sendWindow > maximumWindow) return this.connectionError(ErrorCode.flowControlError);
      return this.#sendPending();
    }
    if (this.#isIdle(id)) return this.connectionError(ErrorCode.protocolError);
    const stream = this.streams.get(id);
    if (stream === undefined) return;
    if (increment === 0) return this.streamError(stream, ErrorCode.protocolError);
    stream.sendWindow += increment;
    if (stream.sendWindow > maximumWindow) return this.streamError(stream, ErrorCode.flowControlError);
    stream.sendPending();
  }

  /** Sends what waits on all streams, a frame of each in turn, so that none takes the whole of a narrow window. */
  #sendPending(): void {
    if (this.streams.size === 0) return;
    const waiting = [...this.streams.values()].filter((stream) => stream.hasPending);
    const next = waiting.findIndex((stream) => stream.id > this.#servedFirst);
    if (next > 0) waiting.push(...waiting.splice(0, next));
    if (waiting.length > 0) this.#servedFirst = waiting[0].id;
    for (let more = true; more && this.sendWindow > 0 && !this.closed;) {
      more = false;
      for (const stream of waiting) if (stream.sendPending(this.peer.frameSize)) more = true;
    }
  }

  /** Whether the peer may still send on a stream that is none to us any more. */
  #isForgotten(id: number): boolean {
    return this.#resets.has(id) || (this.isPeerStream(id) && id > this.#lastServed);
  }

  #isIdle(id: number): boolean {
    return id > (this.isPeerStream(id) ? this.lastPeerStream : this.lastOwnStream);
  }

  // ----------------------------------------------------------------------------------------------------- limits

  /** False: the connection has ended over it. */
  #countEmpty(empty: boolean): boolean {
    if (this.#budget.admitFrame(empty)) return true;
    this.connectionError(ErrorCode.enhanceYourCalm);
    return false;
  }

  /** An answer to a control frame waits to be sent: a peer that does not read them must not make us keep them. */
  #countReply(): void {
    this.scheduleFlush();
    if (!this.#budget.admitReply()) this.connectionError(ErrorCode.enhanceYourCalm);
  }

  /** The frames of all streams that a turn of the loop, or a few in a row, touch go out in one write. */
  override scheduleFlush(): void {
    if (this.socket.inProcess) this.thread.loop.deferInProcess(this);
    else this.thread.loop.deferToTurnEnd(this);
  }

  override flush(): void {
    const before = this.out.length;
    super.flush();
    if (this.out.length < before || before === 0) this.#lastFlush = this.thread.loop.now;
    if (this.closed || this.closing) return;
    this.frames.seal();
    if (this.out.length <= lowWaterMark) this.#budget.repliesSent();
    if (this.#overfull && this.out.length <= highWaterMark) {
      this.#overfull = false;
      this.setReading(true);
      this.thread.loop.defer(this);
    }
  }

  /** Responses without a body know no window: who asks for more of them than it reads is not heard further. */
  #pauseIfOverfull(): void {
    if (!this.servesPeer || this.out.length <= overfullMark || this.closed || this.closing) return;
    this.#overfull = true;
    this.setReading(false);
    this.onStalled();
  }

  /**
   * Beyond the budget there are no new streams; those that exist may belong to somebody else behind the same peer, and finish.
   */
  #countPrematureReset(stream: S): void {
    if (!this.servesPeer || this.#budget.admitReset(this.thread.loop.now - stream.openedAt)) return;
    if (this.goingAway || this.closing || this.closed) return;
    this.goAway(ErrorCode.enhanceYourCalm);
    if (this.streams.size === 0) this.closeAfterFlush();
  }

  /** Lets the peer send as much again as has been taken. */
  #giveBack(size: number): void {
    this.#unacknowledged += size;
    if (this.#unacknowledged < Limit.connectionWindow / 2) return;
    this.frames.windowUpdate(0, this.#unacknowledged);
    this.#receiveWindow += this.#unacknowledged;
    this.#unacknowledged = 0;
    this.scheduleFlush();
  }

  // ---------------------------------------------------------------------------------------------------- streams

  /** Both sides of the stream are done. */
  finish(stream: S): void {
    if (!this.streams.has(stream.id)) return;
    this.#budget.streamFinished();
    this.#forget(stream);
  }

  /** Ends a stream before its time; its owner has been told or knows. */
  reset(stream: S, code: number): void {
    if (!this.streams.has(stream.id)) return;
    this.#forget(stream);
    this.resetUnknown(stream.id, code);
  }

  /** Says that a stream, which may not exist, is over. */
  protected resetUnknown(id: number, code: number): void {
    this.frames.resetStream(id, code);
    this.#resets.add(id);
    if (this.#resets.size > rememberedResets) this.#resets.delete(this.#resets.values().next().value!);
    this.#countReply();
  }

  /** The peer broke the rules on one stream. */
  streamError(stream: S, code: number): void {
    this.reset(stream, code);
    stream.onBroken(code);
    this.#countPrematureReset(stream);
  }

  #forget(stream: S): void {
    this.streams.delete(stream.id);
    stream.release();
    if (this.closed) return;
    if (this.streams.size === 0) this.onIdle();
    this.onRoom();
  }

  /** The peer broke the rules for all: it is told why, and the connection ends. */
  connectionError(code: number): void {
    if (this.closed || this.closing) return;
    this.goAway(code);
    this.closeAfterFlush();
    this.#endStreams();
  }

  /** No streams beyond those that exist. */
  goAway(code: number): void {
    this.goingAway = true;
    // What has been refused before is not served afterwards (RFC 9113 §6.8).
    this.#lastServed = Math.min(this.#lastServed, this.lastPeerStream);
    this.frames.goAway(this.#lastServed, code);
    this.scheduleFlush();
  }

  #endStreams(): void {
    for (const stream of [...this.streams.values()]) {
      this.streams.delete(stream.id);
      stream.release();
      stream.onReset(ErrorCode.internalError);
    }
  }

  /** Takes over a connection whose first bytes another codec has read: they stand in the thread's input. */
  takeInput(size: number): void {
    this.#consume(size);
  }

  protected override onDrained(): void {
    for (const stream of [...this.streams.values()]) stream.onDrained();
  }

  protected override onClose(_failed: boolean): void {
    this.#partial.clear();
    this.#block.clear();
    this.#endStreams();
  }
}

function unsigned31(bytes: Uint8Array, at: number): number {
  return (bytes[at] & 127) << 24 | bytes[at + 1] << 16 | bytes[at + 2] << 8 | bytes[at + 3];
}

function unsigned32(bytes: Uint8Array, at: number): number {
  return (bytes[at] << 24 | bytes[at + 1] << 16 | bytes[at + 2] << 8 | bytes[at + 3]) >>> 0;
}
