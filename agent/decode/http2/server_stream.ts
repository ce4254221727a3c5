/** One request on an HTTP/2 connection from a caller, and its response. */
import type { ConnectionRules } from "../../../routing/authorize/judge.ts";
import { reauthorize } from "../../authorize/authorize.ts";
import type { BodyFraming, DownstreamLink, DownstreamStream } from "../../downstream_stream.ts";
import type { Exchange } from "../../exchange.ts";
import { handleRequest } from "../../pipeline.ts";
import { recordRefusal } from "../../record/refusal.ts";
import { Flag, type Outcome, outcomes } from "../../respond/outcome.ts";
import { type ResponseFraming, writeLocalReplyFields, writeResponseFields } from "../../respond/response_head.ts";
import type { CompiledMutation } from "../../route/header_mutation.ts";
import { ByteQueue } from "../../worker/buffers.ts";
import { ascii, latin1 } from "../characters.ts";
import { BAD_LENGTH, BodyKind, declaredLength, NO_LENGTH } from "../framing.ts";
import type { Fields, RequestHead, ResponseHead } from "../head.ts";
import { isConnect } from "../http1/parse_head.ts";
import { CONNECT } from "../http1/upgrade.ts";
import { Known } from "../known_headers.ts";
import { admitTrailers, keepTrailers } from "../trailers.ts";
import { ErrorCode } from "./protocol.ts";
import { readRequestHead } from "./request_head.ts";
import type { Http2ServerConnection } from "./server_connection.ts";
import { Http2Stream } from "./stream.ts";

/** How long one side of a tunnel may outlast the other in silence where no idle timeout is set: a peer can be gone. */
const halfClosedTimeout = 3_600_000;
const continueValue = "100-continue";

export class Http2ServerStream extends Http2Stream implements DownstreamStream {
  readonly link: DownstreamLink;
  readonly protocol = "HTTP/2";
  isHead = false;
  #exchange: Exchange | null = null;
  /** Bytes of the body that the request has declared and not yet sent; negative: it declared none. */
  #remaining: number = NO_LENGTH;
  /** What the caller wants to switch to, or has; empty: nothing. */
  #upgrade = "";
  /**
   * What the caller has sent of another protocol before that was granted: whose bytes these are, the answer decides.
   * `null`: granted, or none asked for.
   */
  #early: ByteQueue | null = null;
  #earlyEnd = false;

  constructor(readonly connection: Http2ServerConnection, id: number) {
    super(connection, id);
    this.link = connection.link;
  }

  /** The request's head stands in the thread's sink. */
  begin(endStream: boolean, tooLarge: boolean): void {
    const { thread } = this.connection;
    const head = thread.http2RequestHead;
    if (tooLarge) return this.#refuse(outcomes.requestHeadersTooLarge, endStream);
    if (thread.headerSink.malformed || !readRequestHead(thread.headerSink, head)) return this.#malformed();
    const upgrade = this.#upgrade = this.#upgradeOf(head);
    const length = declaredLength(head.fields);
    // A tunnel has no length (RFC 9113 §8.5).
    if (length === BAD_LENGTH || ((endStream || upgrade !== "") && length > 0)) return this.#malformed();
    this.#remaining = upgrade === "" ? length : NO_LENGTH;
    this.isHead = head.isHead;
    if (head.fields.has(Known.expect)) {
      if (head.fields.known(Known.expect)!.toLowerCase() !== continueValue) {
        return this.#refuse(outcomes.expectationFailed, endStream);
      }
      if (!endStream) this.#sendContinue();
    }
    const exchange = thread.takeExchange();
    this.#exchange = exchange;
    if (upgrade !== "") {
      this.#early = new ByteQueue(thread.slabs);
      this.#earlyEnd = endStream;
      exchange.begin(this, head, { kind: BodyKind.tunnel, length: 0, done: false });
    } else {
      const kind = endStream ? BodyKind.none : length === NO_LENGTH ? BodyKind.chunked : BodyKind.length;
      exchange.begin(this, head, { kind, length: Math.max(length, 0), done: endStream });
    }
    exchange.upgrade = upgrade;
    if (endStream) this.closeRemote();
    handleRequest(exchange, head);
  }

  /** What the caller wants to switch to, in lower case; empty: nothing. */
  #upgradeOf(head: RequestHead): string {
    const { bytes, protocolStart, protocolEnd } = this.connection.thread.headerSink;
    if (protocolStart >= 0) return latin1(bytes, protocolStart, protocolEnd).toLowerCase();
    return isConnect(head) ? CONNECT : "";
  }

  /** The caller waits for this before it sends the body; the proxy takes it (RFC 9110 §10.1.1). */
  #sendContinue(): void {
    this.#sendHeaders(100, this.connection.thread.headerLines, false);
  }

  #malformed(): void {
    this.connection.streamError(this, ErrorCode.protocolError);
  }

  #refuse(outcome: Outcome, endStream: boolean): void {
    if (endStream) this.closeRemote();
    this.sendLocalReply(outcome.status, outcome.body, "");
    recordRefusal(this.connection.thread, this.link, outcome);
  }

  override onHeaders(endStream: boolean): void {
    const { headerSink } = this.connection.thread;
    // A second header block is the trailer section, and it ends the stream (RFC 9113 §8.1).
    if (!endStream || headerSink.hasPseudo || this.#remaining > 0 || this.#isTunnel) return this.#malformed();
    if (!admitTrailers(headerSink.fields)) return this.#malformed();
    this.#exchange?.onRequestTrailers(keepTrailers(headerSink.fields));
    this.closeRemote();
    this.#exchange?.onRequestEnd();
  }

  override onData(
    bytes: Uint8Array<ArrayBuffer>,
    offset: number,
    size: number,
    windowSize: number,
    endStream: boolean,
  ): void {
    if (this.#remaining !== NO_LENGTH) {
      this.#remaining -= size;
      if (this.#remaining < 0 || (endStream && this.#remaining > 0)) return this.#malformed();
    }
    if (size > 0) {
      if (this.#early !== null) this.#early.append(bytes, offset, size);
      else this.#exchange?.onRequestData(bytes, offset, size);
    }
    if (endStream) {
      this.closeRemote();
      if (this.#early !== null) this.#earlyEnd = true;
      else this.#exchange?.onRequestEnd();
    } else this.received(windowSize);
  }

  override onReset(_code: number): void {
    const exchange = this.#exchange;
    this.#exchange = null;
    if (exchange === null) return;
    exchange.onDownstreamClosed();
    this.connection.thread.giveExchange(exchange);
  }

  override onDrained(): void {
    this.#exchange?.onResponseDrained();
  }

  protected override get receiverCongested(): boolean {
    return this.#early !== null || (this.#exchange !== null && this.#exchange.requestCongested);
  }

  protected override get mayTrickle(): boolean {
    return this.#isTunnel || (this.#exchange !== null && this.#exchange.grpc);
  }

  reauthorize(rules: ConnectionRules): void {
    if (this.#exchange !== null) reauthorize(this.#exchange, rules);
  }

  /** How long it may stand still, milliseconds; 0: for ever. */
  get idleTimeout(): number {
    const timeout = this.#exchange?.action?.idleTimeout ?? this.link.chain.http.streamIdleTimeout;
    return timeout === 0 && this.#isTunnel && (this.localClosed || this.remoteClosed) ? halfClosedTimeout : timeout;
  }

  get #isTunnel(): boolean {
    return this.#upgrade !== "";
  }

  /** No byte has moved for too long. */
  onIdleTimeout(): void {
    if (this.#exchange !== null && this.#exchange.status === 0) this.#exchange.onIdle();
    else if (this.#exchange !== null) this.#exchange.cutOff(Flag.SI);
    else {
      this.abort(ErrorCode.cancel);
      this.onReset(ErrorCode.cancel);
    }
  }

  // ------------------------------------------------------------------------------------------ the response

  resumeRequest(): void {
    this.giveBack();
  }

  sendResponse(
    head: ResponseHead,
    body: BodyFraming,
    upstreamTime: number,
    mutations: readonly CompiledMutation[],
  ): void {
    const lines = this.connection.thread.headerLines;
    const bodiless = writeResponseFields(lines, head, body, this.#framing(), upstreamTime, mutations);
    const endStream = bodiless || (body.done && body.kind === BodyKind.none);
    // Here no status but success says that protocols are switched (RFC 8441 §5).
    this.#sendHeaders(body.kind === BodyKind.tunnel ? 200 : head.status, lines, endStream);
    if (endStream) this.closeLocal();
    if (body.kind === BodyKind.tunnel) this.#openTunnel();
  }

  /** The upgrade is granted: what was sent ahead goes first. */
  #openTunnel(): void {
    const early = this.#early!;
    this.#early = null;
    if (early.length > 0) this.#exchange!.onRequestData(early.bytes, early.start, early.length);
    early.clear();
    if (this.#earlyEnd) this.#exchange!.onRequestEnd();
    else this.giveBack();
  }

  override release(): void {
    super.release();
    this.#early?.clear();
  }

  sendBody(bytes: Uint8Array, offset: number, size: number): void {
    if (!this.localClosed) this.writeData(bytes, offset, size);
  }

  sendTrailers(fields: Fields): void {
    if (!this.localClosed) this.writeTrailers(fields);
  }

  endResponse(): void {
    if (!this.localClosed) this.writeEnd();
  }

  abortResponse(): void {
    this.abort(this.#upgrade === CONNECT ? ErrorCode.connectError : ErrorCode.internalError);
  }

  sendLocalReply(status: number, body: string, headers: string): number {
    const bytes = ascii(body);
    const lines = this.connection.thread.headerLines;
    writeLocalReplyFields(lines, status, bytes.length, headers, this.#framing());
    const bodiless = bytes.length === 0 || this.isHead || status === 204 || status === 304;
    this.#sendHeaders(status, lines, bodiless);
    if (bodiless) this.closeLocal();
    else {
      this.writeData(bytes, 0, bytes.length);
      this.writeEnd();
    }
    return bytes.length;
  }

  /** `lines`: the fields, emptied. */
  #sendHeaders(status: number, lines: ByteQueue, endStream: boolean): void {
    const { connection } = this;
    connection.encoder.encodeStatus(connection.beginHeaders(), status);
    connection.sendHeaders(this.id, lines, endStream);
  }

  #framing(): ResponseFraming {
    const framing = this.connection.thread.responseFraming;
    framing.close = framing.http10 = false;
    framing.isHead = this.isHead;
    framing.server = this.link.chain.serverLine;
    return framing;
  }

  exchangeDone(): void {
    const exchange = this.#exchange;
    // A reset gives the exchange back itself, when all has been told.
    if (exchange === null) return;
    this.#exchange = null;
    this.connection.thread.giveExchange(exchange);
    this.#endUnread();
  }

  protected override closeLocal(): void {
    super.closeLocal();
    this.#endUnread();
  }

  /** The response is whole but the request is not: the rest of it is not wanted (RFC 9113 §8.1). */
  #endUnread(): void {
    // One side of a tunnel may end long before the other; an end of both that is none is told as such.
    const tunnelOpen = this.#isTunnel && this.#early === null;
    if (this.localClosed && !this.remoteClosed && this.#exchange === null && !tunnelOpen) this.abort(ErrorCode.noError);
  }
}
