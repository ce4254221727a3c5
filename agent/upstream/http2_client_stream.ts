/** One request on an HTTP/2 connection to an upstream host, and its response. */
import { CR, SPACE } from "../decode/characters.ts";
import { appendContentLength } from "../decode/field_lines.ts";
import { BAD_LENGTH, BodyKind, declaredLength, NO_LENGTH } from "../decode/framing.ts";
import type { Fields, ResponseHead } from "../decode/head.ts";
import { appendLines } from "../decode/http2/header_block.ts";
import { ErrorCode } from "../decode/http2/protocol.ts";
import { Http2Stream } from "../decode/http2/stream.ts";
import { CONNECT } from "../decode/http1/upgrade.ts";
import type { HeaderSink } from "../decode/hpack/header_sink.ts";
import { admitTrailers, keepTrailers } from "../decode/trailers.ts";
import type { Http2ClientConnection } from "./http2_client_connection.ts";
import { maximumInterims } from "./http1_client_connection.ts";
import { switchesProtocol, type UpstreamRequest } from "./upstream_request.ts";
import type { UpstreamLink, UpstreamStream } from "./upstream_stream.ts";

const hostField = "\r\nhost: ".length;
const version = " HTTP/1.1".length;

export class Http2ClientStream extends Http2Stream implements UpstreamStream {
  #request: UpstreamRequest | null;
  #interims = 0;
  #headReceived = false;
  #remaining: number = NO_LENGTH;
  /** The two ends speak another protocol now: each side ends by itself. */
  #tunnel = false;

  constructor(readonly connection: Http2ClientConnection, id: number, request: UpstreamRequest) {
    super(connection, id);
    this.#request = request;
  }

  get link(): UpstreamLink {
    return this.connection;
  }

  /** Sends the head and what there is of the body. */
  begin(): void {
    const request = this.#request!;
    const endsHere = request.requestComplete && request.body.length === 0 && request.trailers === null;
    this.#writeHead(request, endsHere);
    if (endsHere) this.closeLocal();
    else {
      if (request.body.length > 0) this.writeData(request.body.bytes, request.body.start, request.body.length);
      if (request.trailers !== null) this.writeTrailers(request.trailers);
      if (request.requestComplete) this.writeEnd();
    }
    request.onAttached(this);
  }

  /** The head as it was written for HTTP/1.1 (`METHOD path HTTP/1.1`, Host, then the fields) as a header block. */
  #writeHead(request: UpstreamRequest, endStream: boolean): void {
    const { encoder, thread } = this.connection;
    const { bytes, start } = request.head;
    const block = this.connection.beginHeaders();
    let methodEnd = start;
    while (bytes[methodEnd] !== SPACE) methodEnd++;
    let lineEnd = methodEnd;
    while (bytes[lineEnd] !== CR) lineEnd++;
    const hostStart = lineEnd + hostField;
    let hostEnd = hostStart;
    while (bytes[hostEnd] !== CR) hostEnd++;
    if (switchesProtocol(request)) encoder.encodeExtendedConnect(block, request.upgrade);
    else encoder.encodeMethod(block, bytes, start, methodEnd);
    // A CONNECT has an authority only (RFC 9113 §8.5).
    if (request.upgrade !== CONNECT) {
      // As Istio has Envoy do it: what this hop is, not what the caller's was.
      encoder.encodeScheme(block, this.connection.channel.tls === null ? "http" : "https");
      encoder.encodePath(block, bytes, methodEnd + 1, lineEnd - version);
    }
    encoder.encodeAuthority(block, bytes, hostStart, hostEnd);
    appendLines(encoder, block, request.head, hostEnd + 2);
    const lines = thread.headerLines;
    if (request.bodyKind === BodyKind.length) appendContentLength(lines, request.bodyLength);
    this.connection.sendHeaders(this.id, lines, endStream);
  }

  sendData(bytes: Uint8Array, offset: number, size: number): void {
    if (!this.localClosed) this.writeData(bytes, offset, size);
  }

  sendTrailers(fields: Fields): void {
    if (!this.localClosed) this.writeTrailers(fields);
  }

  sendEnd(): void {
    if (this.localClosed) return;
    if (this.remoteClosed) this.#request = null;
    this.writeEnd();
  }

  resumeResponse(): void {
    this.giveBack();
  }

  cancel(): void {
    this.#request = null;
    this.abort(ErrorCode.cancel);
  }

  override onHeaders(endStream: boolean): void {
    const { thread } = this.connection;
    const { headerSink } = thread;
    if (this.#headReceived) return this.#onTrailers(headerSink, endStream);
    const status = readStatus(headerSink);
    if (status < 0 || (status < 200 && (endStream || status === 101))) return this.#malformed();
    // Interim responses are for this hop.
    if (status < 200) return ++this.#interims > maximumInterims ? this.#malformed() : undefined;
    const length = declaredLength(headerSink.fields);
    const request = this.#request!;
    const bodiless = request.isHead || status === 204 || status === 304;
    if (length === BAD_LENGTH || (endStream && length > 0 && !bodiless)) return this.#malformed();
    this.#headReceived = true;
    this.#remaining = length;
    const head = thread.http2ResponseHead;
    head.status = status;
    if (request.upgrade !== "" && status < 300) return this.#openTunnel(request, head, endStream);
    const kind = endStream || bodiless ? BodyKind.none : length === NO_LENGTH ? BodyKind.chunked : BodyKind.length;
    const wanted = request.onResponseHead(head, { kind, length: Math.max(length, 0), done: endStream });
    if (!wanted) return this.cancel();
    if (endStream) this.#end();
    else if (bodiless) this.#endWithoutBody();
  }

  /** Success grants what an extended CONNECT asks for (RFC 8441 §5). */
  #openTunnel(request: UpstreamRequest, head: ResponseHead, endStream: boolean): void {
    this.#tunnel = true;
    this.#remaining = NO_LENGTH;
    request.onResponseHead(head, { kind: BodyKind.tunnel, length: 0, done: false });
    if (endStream) this.#end();
  }

  /** Some servers send a body to HEAD: nobody wants it, and a caller of HTTP/1.1 would read it as the next response. */
  #endWithoutBody(): void {
    const request = this.#request;
    this.#request = null;
    this.abort(ErrorCode.cancel);
    request?.onResponseEnd();
  }

  #onTrailers(sink: HeaderSink, endStream: boolean): void {
    if (!endStream || sink.hasPseudo || this.#remaining > 0 || this.#tunnel) return this.#malformed();
    if (!admitTrailers(sink.fields)) return this.#malformed();
    this.#request?.onResponseTrailers(keepTrailers(sink.fields));
    this.#end();
  }

  override onData(
    bytes: Uint8Array<ArrayBuffer>,
    offset: number,
    size: number,
    windowSize: number,
    endStream: boolean,
  ): void {
    if (!this.#headReceived) return this.#malformed();
    if (this.#remaining !== NO_LENGTH) {
      this.#remaining -= size;
      if (this.#remaining < 0 || (endStream && this.#remaining > 0)) return this.#malformed();
    }
    if (size > 0) this.#request?.onResponseData(bytes, offset, size);
    if (endStream) this.#end();
    else this.received(windowSize);
  }

  #end(): void {
    const request = this.#request;
    const goesOn = this.#tunnel && request !== null && !request.requestComplete;
    if (!goesOn) this.#request = null;
    this.closeRemote();
    // An answer before the end of the request: the rest of it is not wanted.
    if (!this.localClosed && !this.#tunnel) this.abort(ErrorCode.noError);
    request?.onResponseEnd();
  }

  #malformed(): void {
    this.connection.streamError(this, ErrorCode.protocolError);
  }

  override onBroken(): void {
    const request = this.#request;
    this.#request = null;
    request?.onFailure("protocolError");
  }

  override onReset(code: number): void {
    const request = this.#request;
    this.#request = null;
    request?.onFailure(code === ErrorCode.refusedStream ? "refused" : "reset");
  }

  override onDrained(): void {
    this.#request?.onRequestDrained();
  }

  protected override get receiverCongested(): boolean {
    return this.#request !== null && this.#request.responseCongested;
  }
}

/** The three digits of `:status`, -1 when they are anything else or other pseudo-header fields came along. */
function readStatus(sink: HeaderSink): number {
  if (sink.statusEnd - sink.statusStart !== 3 || sink.methodStart >= 0 || sink.pathStart >= 0) return -1;
  if (sink.schemeStart >= 0 || sink.authorityStart >= 0 || sink.protocolStart >= 0) return -1;
  let status = 0;
  for (let i = sink.statusStart; i < sink.statusEnd; i++) {
    const digit = sink.bytes[i] - 48;
    if (digit < 0 || digit > 9) return -1;
    status = status * 10 + digit;
  }
  return status >= 100 ? status : -1;
}
