/**
 * One request and its response on their way through the proxy: what was decided about it, its attempt under way, and
 * what is recorded at the end. Used again for another request. How often it is tried is `attempts.ts`, how long it may
 * take `deadlines.ts`.
 */
import { Attempts } from "./attempts.ts";
import type { Permit } from "./authorize/authorize.ts";
import type { Cluster, Host } from "./balance/cluster.ts";
import type { DynamicHosts, HostSeeker } from "./balance/dynamic_hosts.ts";
import { recordLocalFailure, recordResponse } from "./balance/outliers.ts";
import { ClusterSlot } from "./config/shared_memory.ts";
import { type DeadlineOwner, Deadlines } from "./deadlines.ts";
import { ascii } from "./decode/characters.ts";
import { BodyKind } from "./decode/framing.ts";
import { grpcStatusOf, isGrpc } from "./decode/grpc.ts";
import type { Fields, RequestHead, ResponseHead } from "./decode/head.ts";
import { CONNECT } from "./decode/http1/upgrade.ts";
import { keepTrailers } from "./decode/trailers.ts";
import type { BodyFraming, DownstreamStream } from "./downstream_stream.ts";
import { noShadows, startShadows } from "./filters/mirror.ts";
import { type AccessLogEntry, newEntry } from "./record/access_log.ts";
import { recordExchange, recordResponseHead } from "./record/record.ts";
import { grpcStatusOfHttp } from "./record/grpc_status.ts";
import { AddedHeaders, noMutation } from "./respond/added_headers.ts";
import { grpcReplyHeaders } from "./respond/grpc_reply.ts";
import { Flag, type Outcome, outcomes } from "./respond/outcome.ts";
import type { CompiledMutation } from "./route/header_mutation.ts";
import { RequestSettings } from "./route/request_settings.ts";
import type { ForwardAction, Route } from "./route/route_table.ts";
import type { ConnectFailure } from "./upstream/connector.ts";
import { TcpTunnel } from "./upstream/tcp_tunnel.ts";
import type { StreamFailure, UpstreamRequest, UpstreamSource } from "./upstream/upstream_request.ts";
import { type CallerAddresses, callerAddresses } from "./upstream/proxy_protocol.ts";
import type { UpstreamLink, UpstreamStream } from "./upstream/upstream_stream.ts";
import {
  type AttemptFailure,
  backOff,
  retriesFailure,
  retriesResponse,
  type RetryPolicy,
} from "../routing/resilience/retry.ts";
import { Hash64 } from "../routing/balance/xx_hash.ts";
import { missingAccept, WEBSOCKET } from "./upstream/websocket_handshake.ts";
import { ByteQueue } from "./worker/buffers.ts";
import { highWaterMark } from "./worker/connection.ts";
import type { DataThread } from "./worker/thread.ts";

/** A body is kept for another attempt up to this size (bytes). */
const replayLimit = 256 * 1024;

export class Exchange implements DeadlineOwner, UpstreamRequest, HostSeeker {
  readonly head: ByteQueue;
  readonly body: ByteQueue;
  trailers: Fields | null = null;
  upgrade = "";
  bodyKind = 0;
  bodyLength = 0;
  requestComplete = false;
  isHead = false;
  cameByHttp2 = false;
  grpc = false;

  /** The caller's side; `null` between requests. */
  downstream: DownstreamStream | null = null;
  route: Route | null = null;
  action: ForwardAction | null = null;
  /** What {@link action} says of timeouts and retries, and the caller. */
  readonly settings = new RequestSettings();
  cluster: Cluster | null = null;
  host: Host | null = null;
  /** The host that the request is for, where {@link cluster} goes by that. */
  soughtHost = "";
  /** What carries the current attempt. */
  upstream: UpstreamStream | null = null;
  /** The connection that carried the last attempt: its peer is the destination that metrics name. */
  destination: UpstreamLink | null = null;
  entry: AccessLogEntry | null = null;
  /** Changes to the response's headers: the weighted cluster's, the route's, then the proxy's own for this request. */
  readonly responseMutations: CompiledMutation[] = [noMutation, noMutation, noMutation];
  /** Headers of the request that the response's will tell of. */
  requestHeader: (name: string) => string = noHeader;

  /** What decides the host where {@link hashed}. */
  readonly hashKey = new Hash64();
  hashed = false;

  startTime = 0;
  status = 0;
  flags = 0;
  /** `grpc-status` of the response's head or trailers; -1: none. */
  grpcStatus = -1;
  bytesReceived = 0;
  bytesSent = 0;
  upstreamFailure = "";
  /** Envoy's response code details, where the proxy itself has answered for a reason that they tell; empty: not. */
  details = "";

  #permit: Permit | null = null;
  readonly #attempts = new Attempts();
  readonly #deadlines: Deadlines;
  /** Where the head's last lines begin, which are this attempt's own; -1: it has none. */
  #attemptLinesAt = -1;
  #tellsAttemptCount = false;
  readonly #addedHeaders = new AddedHeaders();
  #shadows = noShadows;
  /** Set while the body is collected: what follows, and the largest body. */
  #onWhole: (() => void) | null = null;
  #bodyLimit = 0;
  #attemptStart = 0;
  #waitingIn: UpstreamSource | null = null;
  #seeking: DynamicHosts | null = null;
  #responseStarted = false;
  /** The two ends speak another protocol now: each side ends by itself. */
  #tunnel = false;
  #tunnelHalfClosed = false;

  constructor(readonly thread: DataThread) {
    this.head = new ByteQueue(thread.slabs);
    this.body = new ByteQueue(thread.slabs);
    this.#deadlines = new Deadlines(thread.loop, this);
  }

  /** Takes on a request whose head has just been parsed. */
  begin(downstream: DownstreamStream, head: RequestHead, body: BodyFraming): void {
    this.downstream = downstream;
    this.startTime = this.thread.loop.now;
    this.bodyKind = body.kind;
    this.bodyLength = body.length;
    this.requestComplete = body.done;
    this.isHead = downstream.isHead;
    this.cameByHttp2 = downstream.protocol === "HTTP/2";
    this.grpc = isGrpc(head.fields);
    const { requestTimeout } = downstream.link.chain.http;
    if (requestTimeout !== undefined && !body.done) this.#deadlines.headReceived(requestTimeout);
  }

  /** Notes what the log will tell of the request, if it is logged: its target in the one spelling that counts. */
  openLogEntry(head: RequestHead): void {
    const { link, protocol } = this.downstream!;
    const formats = link.chain.logFormats;
    if (formats.length > 0) this.entry = newEntry(formats, head, protocol, Date.now());
  }

  get caller(): CallerAddresses {
    return callerAddresses(this.downstream!.link);
  }

  /** Sends the request, whose head has been written, to a host of {@link cluster}. */
  forward(permit: Permit): void {
    this.#permit = permit;
    const cluster = this.cluster!;
    const { mirrors } = this.action!;
    this.#attempts.count++;
    if (this.#attemptLinesAt >= 0) this.#writeAttemptLines();
    const { retry, timeouts } = this.settings;
    if (mirrors !== null && this.#attempts.count === 1) {
      this.#shadows = startShadows(this, mirrors, this.downstream!.link.chain.proxy, timeouts.timeout);
    }
    const avoid = this.#attempts.avoided(retry);
    const key = this.hashed ? this.hashKey : null;
    if (cluster.dynamic !== null) return this.#forwardToSought(cluster, cluster.dynamic);
    const left = retry === null ? null : this.#attempts.leftPriorities(retry);
    const host = cluster.choose(avoid, retry === null ? 1 : retry.hostSelectionMaxAttempts, key, left);
    if (host === null) return this.reply(outcomes.noHealthyUpstream);
    this.#forwardTo(cluster, host);
  }

  /** Sends the request to the host that it is for, once that is known. */
  #forwardToSought(cluster: Cluster, hosts: DynamicHosts): void {
    const host = hosts.find(this.soughtHost);
    if (host !== null) return this.#forwardTo(cluster, host);
    if (this.soughtHost === "" || hosts.isUnresolved(this.soughtHost)) return this.reply(outcomes.unresolved);
    if (!hosts.seek(this)) return this.reply(outcomes.unresolvedOverflow);
    this.#seeking = hosts;
    this.#deadlines.pause(hosts.config.queryTimeout, () => {
      this.#stopSeeking();
      this.reply(outcomes.unresolved);
    });
  }

  onHostAnswered(): void {
    const hosts = this.#seeking!;
    this.#stopSeeking();
    this.#deadlines.endPause();
    const host = hosts.find(this.soughtHost);
    if (host === null) this.reply(outcomes.unresolved);
    else this.#forwardTo(this.cluster!, host);
  }

  #stopSeeking(): void {
    this.#seeking?.withdraw(this);
    this.#seeking = null;
  }

  #forwardTo(cluster: Cluster, host: Host): void {
    this.host = host;
    const { retry } = this.settings;
    // Waiting for a connection counts.
    if (this.#awaitsResponse) this.#requestSent();
    if (retry === null) this.#attempts.replayable = false;
    const source = this.upgrade === CONNECT ? new TcpTunnel(cluster, host) : host.pool;
    this.#waitingIn = source;
    if (!source.request(this)) {
      this.#waitingIn = null;
      Atomics.add(cluster.shared, cluster.config.slot + ClusterSlot.overflows, 1);
      this.reply(outcomes.overflow);
    }
  }

  /** The head has been written up to the lines that each attempt has of its own. */
  endOfHead(tellsAttemptCount: boolean): void {
    this.#attemptLinesAt = this.head.length;
    this.#tellsAttemptCount = tellsAttemptCount;
  }

  #writeAttemptLines(): void {
    this.head.end = this.head.start + this.#attemptLinesAt;
    this.settings.append(this.head, this.#deadlines.elapsed);
    if (this.#tellsAttemptCount) this.head.appendText(`x-envoy-attempt-count: ${this.#attempts.count}\r\n`);
  }

  /** Lets the time begin that the request and its response may take; false: it was over before, and the caller knows. */
  limitDuration(): boolean {
    const { streamDuration } = this.settings.timeouts;
    if (streamDuration < 0) return true;
    this.#deadlines.limitDuration(streamDuration);
    if (streamDuration > 0) return true;
    this.onStreamDuration();
    return false;
  }

  /** Adds a header to the response, whoever makes it. */
  addResponseHeader(name: string, value: string, mode: "append" | "overwrite" = "overwrite"): void {
    this.#addedHeaders.add(name, value, mode);
  }

  /** Adds to the response what is only known now. */
  #completeAddedHeaders(): void {
    if (this.route?.attemptCount.response && this.#attempts.count > 0) {
      this.addResponseHeader("x-envoy-attempt-count", String(this.#attempts.count));
    }
    const { via } = this.downstream!.link.chain.forwardedHeaders.config;
    if (via !== "") this.addResponseHeader("via", via, "append");
  }

  /** Waits, then calls `next`: the delay of a fault, or back-off. Milliseconds. */
  pause(delay: number, next: () => void): void {
    this.#deadlines.pause(delay, next);
  }

  // ------------------------------------------------------------------------------------------ from the caller

  onRequestData(bytes: Uint8Array<ArrayBuffer>, offset: number, size: number): void {
    this.bytesReceived += size;
    const keep = this.upstream === null || this.#attempts.replayable;
    if (keep && this.upstream !== null && this.body.length + size > replayLimit) {
      this.#attempts.replayable = false;
      this.body.clear();
    } else if (keep) this.body.append(bytes, offset, size);
    if (this.upstream !== null) this.upstream.sendData(bytes, offset, size);
    for (let i = 0; i < this.#shadows.length; i++) this.#shadows[i].onRequestData(bytes, offset, size);
    if (this.#onWhole !== null && this.body.length > this.#bodyLimit) this.reply(outcomes.payloadTooLarge);
  }

  onRequestTrailers(fields: Fields): void {
    if (this.upstream === null || this.#attempts.replayable) this.trailers = keepTrailers(fields);
    this.upstream?.sendTrailers(fields);
    for (let i = 0; i < this.#shadows.length; i++) this.#shadows[i].onRequestTrailers(fields);
  }

  onRequestEnd(): void {
    this.requestComplete = true;
    for (let i = 0; i < this.#shadows.length; i++) this.#shadows[i].onRequestEnd();
    this.#deadlines.bodyReceived();
    if (this.#onWhole !== null) return this.#goOnWhole();
    this.upstream?.sendEnd();
    if (!this.#tunnel) this.#requestSent();
    else if (this.#tunnelHalfClosed) this.#endTunnel();
  }

  /** Whether the caller should pause: what it sent has not gone out. */
  get requestCongested(): boolean {
    if (this.upstream !== null) return this.upstream.congested;
    return this.body.length > Math.max(highWaterMark, this.#bodyLimit);
  }

  /** Waits until the request is whole, then calls `next`; beyond `limit` bytes it is refused. */
  collectBody(limit: number, next: () => void): void {
    this.#bodyLimit = limit;
    this.#onWhole = next;
    this.downstream!.resumeRequest();
  }

  /** As in Envoy, the upstream is told the length of what is known whole. */
  #goOnWhole(): void {
    const next = this.#onWhole!;
    this.#onWhole = null;
    if (this.bodyKind === BodyKind.chunked && this.trailers === null) {
      this.bodyKind = BodyKind.length;
      this.bodyLength = this.body.length;
    }
    next();
  }

  /** The caller can take more of the response. */
  onResponseDrained(): void {
    this.upstream?.resumeResponse();
  }

  /** The caller's connection is gone. */
  onDownstreamClosed(): void {
    if (this.downstream === null) return;
    this.flags |= Flag.DC;
    this.#release();
    this.finish();
  }

  // ---------------------------------------------------------------------------------------- from the upstream

  onAttached(stream: UpstreamStream): void {
    this.#waitingIn = null;
    this.upstream = stream;
    this.destination = stream.link;
    this.#attemptStart = this.thread.loop.now;
    this.#attempts.started(this.cluster!, this.host!);
    this.#deadlines.attemptStarted(this.cluster!.config.maxStreamDuration ?? 0);
    if (!this.#attempts.replayable) this.body.clear();
    if (this.#awaitsResponse) this.#requestSent();
    if (!this.requestComplete && !stream.congested) this.downstream!.resumeRequest();
  }

  onConnectFailure(failure: ConnectFailure): void {
    this.#waitingIn = null;
    this.upstreamFailure = failure.reason;
    recordLocalFailure(this.cluster!, this.host!);
    this.#failAttempt("connect", failure.timedOut ? outcomes.connectTimeout : outcomes.connectFailure);
  }

  onResponseHead(head: ResponseHead, body: BodyFraming): boolean {
    const isTunnel = body.kind === BodyKind.tunnel;
    if (isTunnel && this.upgrade !== CONNECT && head.status !== 101) this.#switchedByHttp2(head);
    recordResponse(this.cluster!, this.host!, head.status);
    const { retry } = this.settings;
    const grpcStatus = grpcStatusOf(head.fields);
    if (
      retry !== null && retriesResponse(retry, head.status, grpcStatus, isRateLimited(head)) && this.#mayRetry(retry)
    ) {
      this.#detach();
      this.#retry(retry);
      return false;
    }
    this.#deadlines.responseStarted();
    this.#responseStarted = true;
    this.#tunnel = isTunnel;
    if (isTunnel) this.#deadlines.tunnelStarted();
    this.status = head.status;
    this.grpcStatus = grpcStatus;
    const upstreamTime = this.thread.loop.now - this.#attemptStart;
    if (this.entry !== null) recordResponseHead(this.entry, this.downstream!.link.chain, head, upstreamTime);
    this.#completeAddedHeaders();
    this.responseMutations[2] = this.#addedHeaders.mutation();
    for (let i = 0; i < 2; i++) {
      const mutation = this.responseMutations[i];
      if (mutation.dynamic) {
        this.responseMutations[i] = mutation.resolve({ exchange: this, request: this.requestHeader, response: head });
      }
    }
    this.downstream!.sendResponse(head, body, upstreamTime, this.responseMutations);
    return true;
  }

  /** An upstream of HTTP/2 has granted the upgrade: as in Envoy it is known, here and to HTTP/1.1, as what it is there. */
  #switchedByHttp2(head: ResponseHead): void {
    head.status = 101;
    if (this.upgrade !== WEBSOCKET) return;
    const accept = missingAccept(this.head, head.fields);
    if (accept !== null) this.addResponseHeader("sec-websocket-accept", accept);
  }

  onResponseData(bytes: Uint8Array<ArrayBuffer>, offset: number, size: number): void {
    this.bytesSent += size;
    this.downstream!.sendBody(bytes, offset, size);
  }

  onResponseTrailers(fields: Fields): void {
    if (this.grpc) this.grpcStatus = grpcStatusOf(fields);
    this.downstream!.sendTrailers(fields);
  }

  onResponseEnd(): void {
    if (this.#tunnel && !this.requestComplete) {
      this.#tunnelHalfClosed = true;
      return this.downstream!.endResponse();
    }
    this.#detach();
    this.downstream!.endResponse();
    this.finish();
  }

  onFailure(failure: StreamFailure): void {
    recordLocalFailure(this.cluster!, this.host!);
    this.#detach();
    const outcome = failure === "protocolError" ? outcomes.upstreamProtocolError : outcomes.reset;
    this.#failAttempt(failure === "refused" ? "refused" : "reset", outcome);
  }

  onRequestDrained(): void {
    this.downstream?.resumeRequest();
  }

  get responseCongested(): boolean {
    return this.downstream !== null && this.downstream.congested;
  }

  // ------------------------------------------------------------------------------------------------- attempts

  /** Whether all is sent that will be before the response comes. */
  get #awaitsResponse(): boolean {
    return this.requestComplete || this.bodyKind === BodyKind.tunnel;
  }

  #endTunnel(): void {
    this.#detach();
    this.finish();
  }

  #requestSent(): void {
    // Before the first attempt a fault's delay runs, which does not count.
    if (this.#attempts.count === 0) return;
    const { timeout, perTry } = this.settings.timeouts;
    this.#deadlines.requestReceived(timeout);
    if (this.upstream !== null && !this.#responseStarted) this.#deadlines.attemptSent(perTry);
  }

  onTryTimeout(): void {
    recordLocalFailure(this.cluster!, this.host!);
    this.#release();
    this.#failAttempt("perTryTimeout", outcomes.upstreamTimeout);
  }

  onRequestTimeout(): void {
    if (this.#responseStarted) this.cutOff(Flag.none);
    else this.giveUp(outcomes.requestTimeout);
  }

  /** Nothing has moved for too long. */
  onIdle(): void {
    if (this.#responseStarted) this.cutOff(Flag.SI);
    else this.giveUp(this.requestComplete ? outcomes.responseIdleTimeout : outcomes.requestIdleTimeout);
  }

  onStreamDuration(): void {
    if (this.#responseStarted) this.cutOff(Flag.none);
    else this.giveUp(this.requestComplete ? outcomes.responseDurationTimeout : outcomes.requestDurationTimeout);
  }

  onUpstreamDuration(): void {
    recordLocalFailure(this.cluster!, this.host!);
    if (this.#responseStarted) return this.cutOff(Flag.UMSDR);
    this.#release();
    this.#failAttempt(
      "reset",
      this.requestComplete ? outcomes.upstreamDuration : outcomes.upstreamDurationInRequest,
    );
  }

  onTimeout(): void {
    if (this.host !== null && this.upstream !== null) recordLocalFailure(this.cluster!, this.host);
    if (this.#responseStarted) return this.cutOff(Flag.UT);
    this.#release();
    this.reply(outcomes.upstreamTimeout);
  }

  /** An attempt ended without a response: another one, or the reply that tells why not. */
  #failAttempt(failure: AttemptFailure, outcome: Outcome): void {
    if (this.#responseStarted) return this.#abort(outcome.flag);
    const { retry } = this.settings;
    if (retry !== null && retriesFailure(retry, failure) && this.#mayRetry(retry)) return this.#retry(retry);
    this.reply(outcome);
  }

  /** Whether there may be another attempt; if it is a limit that keeps it from being made, the flags tell so. */
  #mayRetry(policy: RetryPolicy): boolean {
    if (!this.#attempts.replayable) return false;
    const refusal = this.#attempts.retry(policy, this.cluster!, this.host!);
    this.flags |= refusal;
    return refusal === Flag.none;
  }

  #retry(policy: RetryPolicy): void {
    this.pause(backOff(policy, this.#attempts.count, Math.random()), this.#forwardAgain);
  }

  readonly #forwardAgain = (): void => this.forward(this.#permit!);

  /** The response cannot be finished: the caller must see that it is cut off. */
  #abort(flag: number): void {
    this.flags |= flag;
    const downstream = this.downstream!;
    this.finish();
    downstream.abortResponse();
  }

  // -------------------------------------------------------------------------------------------------- the end

  /** Answers in the proxy's own name. `headers`: further lines, each with its end. */
  reply(outcome: Outcome, headers = ""): void {
    const { status, flag, close, overloaded, grpcStatus, retriedBody } = outcome;
    const body = retriedBody !== undefined && this.#attempts.count > 1 ? retriedBody : outcome.body;
    this.respond(status, body, flag, headers, close, overloaded === true, grpcStatus);
  }

  /** Answers in place of the upstream, which is let go: the request broke the rules or took too long. */
  giveUp(outcome: Outcome): void {
    this.#release();
    this.reply(outcome);
  }

  /** Ends a response that has begun, before it is whole. */
  cutOff(flag: number): void {
    this.#release();
    this.#abort(flag);
  }

  /** @param grpcStatus for a gRPC caller; absent: what `status` means there */
  respond(
    status: number,
    body: string,
    flag: number,
    headers: string,
    close: boolean,
    overloaded: boolean,
    grpcStatus: number = grpcStatusOfHttp(status),
  ): void {
    this.flags |= flag;
    this.status = this.grpc ? 200 : status;
    this.#completeAddedHeaders();
    let lines = (overloaded ? headers + "x-envoy-overloaded: true\r\n" : headers) + this.#routeHeaders() +
      this.#addedHeaders.lines();
    if (this.grpc) {
      this.grpcStatus = grpcStatus;
      lines += grpcReplyHeaders(grpcStatus, body);
    }
    this.bytesSent += this.downstream!.sendLocalReply(this.status, this.grpc ? "" : body, lines, close);
    this.finish();
  }

  /** What the route adds to any response to its requests, as lines. */
  #routeHeaders(): string {
    if (this.action === null) return "";
    let lines = "";
    for (let i = 0; i < 2; i++) {
      const mutation = this.responseMutations[i];
      if (mutation.empty) continue;
      const context = { exchange: this, request: this.requestHeader, response: null };
      lines += (mutation.dynamic ? mutation.resolve(context) : mutation).lines;
    }
    return lines;
  }

  /** Counts the attempt as over. */
  #detach(): void {
    if (this.upstream === null) return;
    this.upstream = null;
    this.#deadlines.attemptEnded();
    this.#attempts.ended(this.cluster!, this.host!);
  }

  /** Gives up the attempt, wherever it stands. */
  #release(): void {
    this.#stopSeeking();
    this.#waitingIn?.withdraw(this);
    this.#waitingIn = null;
    const upstream = this.upstream;
    this.#detach();
    upstream?.cancel();
  }

  /** Records the exchange and makes ready for the next one. */
  finish(): void {
    const downstream = this.downstream!;
    this.#stopSeeking();
    this.#deadlines.finish();
    this.#attempts.finish(this.cluster);
    for (let i = 0; i < this.#shadows.length; i++) this.#shadows[i].onOriginalDone();
    this.#shadows = noShadows;
    recordExchange(this, downstream.link);
    this.downstream = null;
    this.#reset();
    downstream.exchangeDone();
  }

  #reset(): void {
    this.head.clear();
    this.body.clear();
    this.route = null;
    this.action = null;
    this.cluster = null;
    this.host = null;
    this.soughtHost = "";
    this.destination = null;
    this.entry = null;
    this.status =
      this.flags =
      this.bytesReceived =
      this.bytesSent =
        0;
    this.grpcStatus = -1;
    this.trailers = null;
    this.upstreamFailure = this.details = "";
    this.#permit = null;
    this.#responseStarted = false;
    this.#tunnel = this.#tunnelHalfClosed = false;
    this.upgrade = "";
    this.requestHeader = noHeader;
    this.#onWhole = null;
    this.#bodyLimit = 0;
    this.#attemptLinesAt = -1;
    this.#addedHeaders.clear();
    this.responseMutations[2] = noMutation;
  }
}

const rateLimitedName = ascii("x-envoy-ratelimited");

/** Whether a rate limit of another Envoy has refused the request. */
function isRateLimited({ status, fields }: ResponseHead): boolean {
  return status >= 400 && fields.find(rateLimitedName) >= 0;
}

function noHeader(): string {
  return "";
}
