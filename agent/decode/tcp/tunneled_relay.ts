/**
 * The tcp_proxy of a connection whose bytes go to the upstream inside an HTTP request, CONNECT or POST (Envoy's
 * tunneling_config): nothing is taken from the caller before the upstream has agreed.
 */
import { authorizeConnection, type Permit, terminationDetails } from "../../authorize/authorize.ts";
import type { Cluster, Host } from "../../balance/cluster.ts";
import { recordLocalFailure, recordResponse } from "../../balance/outliers.ts";
import type { TcpProxyConfig, TunnelingConfig } from "../../config/model.ts";
import { ClusterSlot, HostSlot } from "../../config/shared_memory.ts";
import type { BodyFraming, DownstreamConnection, DownstreamLink } from "../../downstream_stream.ts";
import type { TcpSeries } from "../../record/series.ts";
import { logConnection, type TcpRecord, tcpScope } from "../../record/tcp.ts";
import { Flag } from "../../respond/outcome.ts";
import { END_OF_STREAM, FAILED, type Socket, WOULD_BLOCK } from "../../sys/socket.ts";
import type { TlsSession } from "../../sys/tls_session.ts";
import type { ConnectFailure } from "../../upstream/connector.ts";
import { type CallerAddresses, callerAddresses } from "../../upstream/proxy_protocol.ts";
import type { StreamFailure, UpstreamRequest } from "../../upstream/upstream_request.ts";
import type { UpstreamStream } from "../../upstream/upstream_stream.ts";
import { ByteQueue } from "../../worker/buffers.ts";
import { Connection } from "../../worker/connection.ts";
import type { DataThread } from "../../worker/thread.ts";
import { Timer } from "../../worker/timer_wheel.ts";
import { BodyKind } from "../framing.ts";
import type { ResponseHead } from "../head.ts";
import { CONNECT } from "../http1/upgrade.ts";
import { chooseCluster } from "./tcp_relay.ts";

export class TunneledRelay extends Connection implements UpstreamRequest, DownstreamConnection, TcpRecord {
  cluster: Cluster | null = null;
  host: Host | null = null;
  upstreamPrincipal = "";
  upstreamFailure = "";
  terminationDetails = "";
  flags = 0;
  bytesReceived = 0;
  bytesSent = 0;

  readonly head: ByteQueue;
  readonly body: ByteQueue;
  readonly trailers = null;
  readonly upgrade: string;
  readonly bodyKind: number;
  readonly bodyLength = 0;
  requestComplete = false;
  readonly isHead = false;
  readonly cameByHttp2 = false;

  readonly #config: TcpProxyConfig;
  readonly #startedAt: number;
  #lastActivity: number;
  #upstream: UpstreamStream | null = null;
  #waiting = false;
  #attempts = 0;
  #series: TcpSeries | null = null;
  /** The upstream has sent all it has to send. */
  #upstreamEnded = false;
  /** Ends it when it is as old as it may be; `null`: never. */
  #life: Timer | null = null;

  /** Owns socket and session from here on. */
  constructor(
    thread: DataThread,
    socket: Socket,
    tls: TlsSession | null,
    readonly link: DownstreamLink,
    tunneling: TunnelingConfig,
    _permit: Permit,
  ) {
    super(thread, socket);
    this.tls = tls;
    this.#config = link.chain.tcp;
    this.#startedAt = this.#lastActivity = thread.loop.now;
    this.upgrade = tunneling.usePost ? "" : CONNECT;
    this.bodyKind = tunneling.usePost ? BodyKind.chunked : BodyKind.tunnel;
    this.head = new ByteQueue(thread.slabs);
    this.body = new ByteQueue(thread.slabs);
    const { hostname } = tunneling;
    this.head.appendText(`${tunneling.usePost ? "POST /" : `CONNECT ${hostname}`} HTTP/1.1\r\nhost: ${hostname}\r\n`);
    this.setReading(false);
    thread.downstreams.add(this);
    const { maxConnectionDuration } = this.#config;
    if (maxConnectionDuration !== undefined) {
      this.#life = new Timer(() => this.#end(Flag.DT));
      thread.loop.setTimer(this.#life, maxConnectionDuration);
    }
    this.#ask();
  }

  get caller(): CallerAddresses {
    return callerAddresses(this.link);
  }

  #ask(): void {
    if (this.thread.overload.refusesWork()) return this.#end(Flag.UO);
    const cluster = this.link.chain.proxy.clusters.get(chooseCluster(this.#config.clusters));
    if (cluster === undefined) return this.#end(Flag.NC);
    this.cluster = cluster;
    this.#attempts++;
    const host = cluster.choose(null, 1);
    if (host === null) return this.#end(Flag.UH);
    this.host = host;
    this.#waiting = true;
    if (!host.pool.request(this)) {
      this.#waiting = false;
      Atomics.add(cluster.shared, cluster.config.slot + ClusterSlot.overflows, 1);
      this.#end(Flag.UO);
    }
  }

  // --------------------------------------------------------------------------------------- from the upstream

  onAttached(stream: UpstreamStream): void {
    this.#waiting = false;
    this.#upstream = stream;
    this.upstreamPrincipal = stream.link.channel.peerPrincipal;
    this.#countActive(1);
  }

  onConnectFailure(failure: ConnectFailure): void {
    this.#waiting = false;
    recordLocalFailure(this.cluster!, this.host!);
    this.upstreamFailure = failure.reason;
    this.flags |= Flag.UF;
    if (this.#attempts < this.#config.maxConnectAttempts) this.#ask();
    else this.#end(Flag.URX);
  }

  onResponseHead({ status }: ResponseHead, _body: BodyFraming): boolean {
    recordResponse(this.cluster!, this.host!, status);
    if (status < 200 || status > 299) {
      this.upstreamFailure = `the tunnel is refused with status ${status}`;
      this.#countActive(-1);
      this.#upstream = null;
      this.#end(Flag.UF | Flag.URX);
      return false;
    }
    this.flags = 0;
    this.upstreamFailure = "";
    this.#series = tcpScope(this.link, this).tcp(Flag.none);
    this.thread.series.count(this.#series.opened, 1);
    this.#lastActivity = this.thread.loop.now;
    if (this.#config.idleTimeout > 0) this.thread.loop.setTimer(this.timer, this.#config.idleTimeout);
    this.#resume();
    return true;
  }

  onResponseData(bytes: Uint8Array<ArrayBuffer>, offset: number, size: number): void {
    this.#lastActivity = this.thread.loop.now;
    this.bytesSent += size;
    this.thread.series.count(this.#series!.sent, size);
    this.out.append(bytes, offset, size);
    this.scheduleFlush();
  }

  /** Bytes have none. */
  onResponseTrailers(): void {}

  onResponseEnd(): void {
    this.#upstreamEnded = true;
    if (this.requestComplete) return this.#finish();
    // The answer to a POST ends the request too.
    if (this.upgrade === "") {
      this.#leaveUpstream();
      return this.#finish();
    }
    this.finishAfterFlush();
  }

  onFailure(_failure: StreamFailure): void {
    this.#leaveUpstream();
    recordLocalFailure(this.cluster!, this.host!);
    this.#end(Flag.none, true);
  }

  onRequestDrained(): void {
    this.#resume();
  }

  get responseCongested(): boolean {
    return this.congested;
  }

  // ----------------------------------------------------------------------------------------- from the caller

  #resume(): void {
    if (this.requestComplete || this.#upstream === null || this.#upstream.congested) return;
    this.setReading(true);
    // What OpenSSL has read already, epoll does not tell of.
    if (this.tls !== null) this.thread.loop.defer(this);
  }

  protected override continueInput(): void {
    if (this.tls !== null && this.reading && this.tls.hasPending()) this.onReadable();
  }

  protected override onReadable(): void {
    const { bytes } = this.thread.input;
    do {
      const count = this.read(0);
      if (count === WOULD_BLOCK) return;
      if (count === END_OF_STREAM) return this.#onCallerEnd();
      if (count === FAILED) return this.fail();
      this.#lastActivity = this.thread.loop.now;
      this.bytesReceived += count;
      this.thread.series.count(this.#series!.received, count);
      this.#upstream!.sendData(bytes, 0, count);
      if (this.#upstream?.congested) this.setReading(false);
    } while (!this.closed && this.reading && this.tls !== null && this.tls.hasPending());
  }

  #onCallerEnd(): void {
    this.requestComplete = true;
    this.setReading(false);
    this.#upstream!.sendEnd();
    if (this.#upstreamEnded) this.#finish();
  }

  protected override onDrained(): void {
    this.#upstream?.resumeResponse();
  }

  // ------------------------------------------------------------------------------------------------- the end

  protected override onDeadline(): void {
    const left = this.#config.idleTimeout - (this.thread.loop.now - this.#lastActivity);
    if (left > 0) this.thread.loop.setTimer(this.timer, left);
    else this.#end(Flag.none);
  }

  /** Both sides have ended: what is queued goes out. */
  #finish(): void {
    this.#leaveUpstream();
    this.closeAfterFlush();
  }

  /** `broken`: the upstream broke, and the caller sees a break as well. */
  #end(flags: number, broken = false): void {
    this.flags |= flags;
    if (broken) this.breakOff();
    else this.close();
  }

  #leaveUpstream(): void {
    if (this.#upstream === null) return;
    this.#upstream = null;
    this.#countActive(-1);
  }

  #countActive(change: number): void {
    const { shared, config: { slot } } = this.cluster!;
    Atomics.add(shared, slot + ClusterSlot.activeRequests, change);
    Atomics.add(shared, this.host!.slot + HostSlot.activeRequests, change);
  }

  protected override onClose(_failed: boolean): void {
    if (this.#waiting) this.host!.pool.withdraw(this);
    const upstream = this.#upstream;
    this.#leaveUpstream();
    upstream?.cancel();
    if (this.#life !== null) this.thread.loop.clearTimer(this.#life);
    this.head.clear();
    const ended = tcpScope(this.link, this).tcp(this.flags);
    // One that never came to be relayed is opened and closed at once.
    if (this.#series === null) this.thread.series.count(ended.opened, 1);
    this.thread.series.count(ended.closed, 1);
    logConnection(this.thread, this.link, this, this.thread.loop.now - this.#startedAt);
    this.thread.downstreamClosed(this);
  }

  /** While the agent drains, connections may end by themselves; one whose workload is gone ends now. */
  drain(): void {
    if (!this.thread.draining) this.close();
  }

  reauthorize(): void {
    if (authorizeConnection(this.link, this.thread) !== null) return;
    this.terminationDetails = terminationDetails(this.link);
    this.#end(Flag.none);
  }
}
