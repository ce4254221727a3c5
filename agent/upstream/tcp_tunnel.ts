/**
 * A connection to an upstream host for the bytes of a CONNECT (Envoy's connect_config): once it is there the caller's
 * tunnel is open, and ends when both sides have.
 */
import type { Cluster, Host } from "../balance/cluster.ts";
import { ClusterSlot } from "../config/shared_memory.ts";
import { BodyReader } from "../decode/framing.ts";
import type { MetricScope } from "../record/request_metrics.ts";
import { END_OF_STREAM, FAILED, SocketError, WOULD_BLOCK } from "../sys/socket.ts";
import { Connection } from "../worker/connection.ts";
import { type ConnectFailure, Connector, type ConnectOwner, type UpstreamChannel } from "./connector.ts";
import type { UpstreamRequest, UpstreamSource } from "./upstream_request.ts";
import type { UpstreamLink, UpstreamStream } from "./upstream_stream.ts";

/** Makes the one connection of a tunnel. */
export class TcpTunnel implements UpstreamSource, ConnectOwner {
  #request: UpstreamRequest | null = null;
  #connector: Connector | null = null;

  constructor(private readonly cluster: Cluster, private readonly host: Host) {}

  /** Begins to connect; false when the circuit breaker of connections is open (Envoy: max_connections). */
  request(request: UpstreamRequest): boolean {
    const { shared, config: { slot, circuitBreakers } } = this.cluster;
    if (Atomics.load(shared, slot + ClusterSlot.activeConnections) >= circuitBreakers.maxConnections) return false;
    Atomics.add(shared, slot + ClusterSlot.activeConnections, 1);
    Atomics.add(shared, slot + ClusterSlot.connections, 1);
    this.#request = request;
    try {
      // What goes through is the caller's protocol, whatever the cluster speaks.
      this.#connector = new Connector(this.cluster, this.host, this, true);
    } catch (error) {
      if (!(error instanceof SocketError)) throw error;
      this.connectFailed({ timedOut: false, reason: error.message });
    }
    return true;
  }

  withdraw(_request: UpstreamRequest): boolean {
    if (this.#connector === null) return false;
    this.#connector.cancel();
    this.#connector = null;
    uncount(this.cluster);
    return true;
  }

  connected(channel: UpstreamChannel): void {
    this.#connector = null;
    new TcpTunnelConnection(channel, this.#request!).open();
  }

  connectFailed(failure: ConnectFailure): void {
    this.#connector = null;
    uncount(this.cluster);
    const { shared, config: { slot } } = this.cluster;
    Atomics.add(shared, slot + ClusterSlot.connectFailures, 1);
    this.#request!.onConnectFailure(failure);
  }
}

function uncount({ shared, config: { slot } }: Cluster): void {
  Atomics.sub(shared, slot + ClusterSlot.activeConnections, 1);
}

class TcpTunnelConnection extends Connection implements UpstreamStream, UpstreamLink {
  scope: MetricScope | null = null;
  #request: UpstreamRequest | null;
  /** The peer has ended its side. */
  #ended = false;
  readonly #body = new BodyReader();

  constructor(readonly channel: UpstreamChannel, request: UpstreamRequest) {
    super(channel.cluster.thread, channel.socket);
    this.tls = channel.tls;
    this.#request = request;
  }

  get link(): UpstreamLink {
    return this;
  }

  open(): void {
    const request = this.#request!;
    request.onAttached(this);
    const head = this.thread.responseHead;
    head.fields.clear();
    head.status = 200;
    this.#body.startTunnel();
    request.onResponseHead(head, this.#body);
    // What came with the last bytes of the handshake, epoll does not tell of.
    if (this.tls !== null) this.thread.loop.defer(this);
  }

  sendData(bytes: Uint8Array, offset: number, size: number): void {
    this.out.append(bytes, offset, size);
    this.scheduleFlush();
  }

  /** A tunnel has none. */
  sendTrailers(): void {}

  sendEnd(): void {
    if (this.#ended) this.#leave();
    else this.finishAfterFlush();
  }

  cancel(): void {
    this.#request = null;
    this.close();
  }

  resumeResponse(): void {
    if (this.#ended) return;
    this.setReading(true);
    if (this.tls !== null) this.thread.loop.defer(this);
  }

  protected override continueInput(): void {
    if (!this.#ended && this.tls !== null && this.reading && this.tls.hasPending()) this.onReadable();
  }

  protected override onReadable(): void {
    const { bytes } = this.thread.input;
    do {
      const count = this.read(0);
      if (count === WOULD_BLOCK) return;
      if (count === END_OF_STREAM) return this.#onEnd();
      if (count === FAILED) return this.fail();
      const request = this.#request!;
      request.onResponseData(bytes, 0, count);
      if (request.responseCongested) this.setReading(false);
    } while (!this.closed && this.reading && this.tls !== null && this.tls.hasPending());
  }

  #onEnd(): void {
    const request = this.#request!;
    this.#ended = true;
    this.setReading(false);
    if (request.requestComplete) this.#leave();
    request.onResponseEnd();
  }

  /** Both sides have ended. */
  #leave(): void {
    this.#request = null;
    this.closeAfterFlush();
  }

  protected override onDrained(): void {
    this.#request?.onRequestDrained();
  }

  protected override onClose(_failed: boolean): void {
    uncount(this.channel.cluster);
    const request = this.#request;
    this.#request = null;
    request?.onFailure("reset");
  }

  /** It is the caller's side that watches for silence. */
  protected override onDeadline(): void {}
}
