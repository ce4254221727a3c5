/** An HTTP/2 connection to an upstream host: many requests at a time. */
import { Http2Connection } from "../decode/http2/connection.ts";
import { ErrorCode, Limit, preface, Setting } from "../decode/http2/protocol.ts";
import type { MetricScope } from "../record/request_metrics.ts";
import type { UpstreamChannel } from "./connector.ts";
import { Keepalive } from "./http2_keepalive.ts";
import { Http2ClientStream } from "./http2_client_stream.ts";
import type { HostPool } from "./host_pool.ts";
import { switchesProtocol, type UpstreamRequest } from "./upstream_request.ts";
import type { UpstreamLink } from "./upstream_stream.ts";

const lastStreamNumber = 0x7fffffff;

export class Http2ClientConnection extends Http2Connection<Http2ClientStream> implements UpstreamLink {
  scope: MetricScope | null = null;
  protected override readonly servesPeer = false;
  /** Requests carried so far. */
  requests = 0;
  readonly #ownLimit: number;
  readonly #madeAt: number;
  readonly #keepalive: Keepalive | null;
  #nextStream = 1;
  #idleSince: number;

  constructor(readonly channel: UpstreamChannel, private readonly pool: HostPool) {
    super(channel.cluster.thread, channel.inProcess ?? channel.socket, channel.inProcess === null ? channel.tls : null);
    this.#idleSince = this.thread.loop.now;
    this.#ownLimit = channel.cluster.config.http2?.maxConcurrentStreams ?? lastStreamNumber;
    this.out.appendAll(preface);
    this.greet(Setting.enablePush, 0);
    this.#madeAt = this.#idleSince;
    this.thread.loop.setTimer(this.timer, Math.min(this.#untilDeadline, Limit.settingsTimeout));
    const keepalive = channel.cluster.config.http2?.keepalive;
    this.#keepalive = keepalive === undefined ? null : new Keepalive(this.thread.loop, keepalive, {
      ping: () => this.#ping(),
      unanswered: () => this.fail(),
    });
  }

  #ping(): void {
    this.frames.ping();
    this.scheduleFlush();
  }

  protected override onPingAck(): void {
    this.#keepalive?.answered();
  }

  /** Whether another request can be given to it now. */
  get #hasRoom(): boolean {
    return !this.goingAway && !this.closed && !this.closing && this.#nextStream < lastStreamNumber &&
      this.streams.size < Math.min(this.peer.concurrentStreams, this.#ownLimit);
  }

  /** Whether this request can be given to it now: one for another protocol only where the peer says that it takes such. */
  takes(request: UpstreamRequest): boolean {
    return this.#hasRoom && (!switchesProtocol(request) || this.peer.takesExtendedConnect);
  }

  /** Sends a request; its answer goes to `request`. There must be room. */
  start(request: UpstreamRequest): void {
    const stream = new Http2ClientStream(this, this.#nextStream, request);
    this.#nextStream += 2;
    this.requests++;
    this.streams.set(stream.id, stream);
    stream.begin();
  }

  /** Takes no more requests; closes when the last one is done. */
  drain(): void {
    if (this.closed || this.closing) return;
    this.goingAway = true;
    if (this.streams.size > 0) return;
    // Now, not when the turn ends: there may be no other turn.
    this.goAway(ErrorCode.noError);
    this.flush();
    this.close();
  }

  protected override get lastOwnStream(): number {
    return this.#nextStream - 2;
  }

  /** A server opens no streams, since push is off. */
  protected override isPeerStream(id: number): boolean {
    return (id & 1) === 0;
  }

  protected override openStream(): void {
    this.connectionError(ErrorCode.protocolError);
  }

  protected override onGoAway(lastStream: number): void {
    this.pool.http2Leaves(this);
    for (const stream of [...this.streams.values()]) {
      // The peer has not looked at these and will not (RFC 9113 §6.8): they may go elsewhere.
      if (stream.id > lastStream) {
        this.streams.delete(stream.id);
        stream.release();
        stream.onReset(ErrorCode.refusedStream);
      }
    }
    if (this.streams.size === 0) this.#leave();
  }

  protected override onIdle(): void {
    this.#idleSince = this.thread.loop.now;
    if (this.goingAway) this.#leave();
  }

  protected override onRoom(): void {
    this.pool.http2Ready(this);
  }

  #leave(): void {
    if (this.closing || this.closed) return;
    this.goAway(ErrorCode.noError);
    this.closeAfterFlush();
  }

  protected override onClose(failed: boolean): void {
    this.#keepalive?.stop();
    this.pool.http2Closed(this);
    super.onClose(failed);
  }

  protected override onDeadline(): void {
    // Requests may wait to hear what the peer takes (and a peer that never says it speaks no HTTP/2).
    if (!this.peer.received) return this.connectionError(ErrorCode.settingsTimeout);
    if (this.#untilDeadline <= 0) return this.pool.retire(this);
    if (this.#untilDeadline < Infinity) this.thread.loop.setTimer(this.timer, this.#untilDeadline);
  }

  /** Until it has been idle or has lasted for too long. */
  get #untilDeadline(): number {
    const { idleTimeout, maxConnectionDuration = Infinity } = this.channel.cluster.config;
    const { now } = this.thread.loop;
    const idleFor = this.streams.size === 0 ? now - this.#idleSince : 0;
    return Math.min(idleTimeout > 0 ? idleTimeout - idleFor : Infinity, maxConnectionDuration - (now - this.#madeAt));
  }
}
