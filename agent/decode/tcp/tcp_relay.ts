/**
 * The tcp_proxy of a connection: chooses cluster and host, connects, then relays bytes both ways until both have ended
 * (https://www.envoyproxy.io/docs/envoy/latest/configuration/listeners/network_filters/tcp_proxy_filter).
 */
import { authorizeConnection, type Permit, terminationDetails } from "../../authorize/authorize.ts";
import type { Cluster, Host } from "../../balance/cluster.ts";
import { withoutPort } from "../../balance/hash_policy.ts";
import { Hash64, xxHash64 } from "../../../routing/balance/xx_hash.ts";
import { ascii } from "../characters.ts";
import { recordConnected, recordLocalFailure } from "../../balance/outliers.ts";
import type { TcpProxyConfig } from "../../config/model.ts";
import { ClusterSlot, HostSlot } from "../../config/shared_memory.ts";
import type { DownstreamConnection, DownstreamLink } from "../../downstream_stream.ts";
import type { TcpSeries } from "../../record/series.ts";
import { logConnection, type TcpRecord, tcpScope } from "../../record/tcp.ts";
import { Flag } from "../../respond/outcome.ts";
import { type Socket, SocketError } from "../../sys/socket.ts";
import type { TlsSession } from "../../sys/tls_session.ts";
import { type ConnectFailure, Connector, type ConnectOwner, type UpstreamChannel } from "../../upstream/connector.ts";
import { callerAddresses } from "../../upstream/proxy_protocol.ts";
import type { DataThread } from "../../worker/thread.ts";
import { Timer } from "../../worker/timer_wheel.ts";
import { RelayEnd, type RelayOwner } from "./relay_end.ts";

export class TcpRelay implements ConnectOwner, RelayOwner, DownstreamConnection, TcpRecord {
  cluster: Cluster | null = null;
  host: Host | null = null;
  upstreamPrincipal = "";
  upstreamFailure = "";
  terminationDetails = "";
  flags = 0;
  bytesReceived = 0;
  bytesSent = 0;
  readonly #config: TcpProxyConfig;
  readonly #startedAt: number;
  readonly #downstream: RelayEnd;
  #upstream: RelayEnd | null = null;
  #connector: Connector | null = null;
  #attempts = 0;
  /** Counted among the cluster's and the host's connections. */
  #counted = false;
  #series: TcpSeries | null = null;
  #lastActivity: number;
  readonly #idle: Timer;
  /** Ends it when it is as old as it may be; `null`: never. */
  #life: Timer | null = null;
  #closed = false;

  /** Owns socket and session from here on. */
  constructor(
    private readonly thread: DataThread,
    socket: Socket,
    tls: TlsSession | null,
    readonly link: DownstreamLink,
    _permit: Permit,
  ) {
    this.#config = link.chain.tcp;
    this.#startedAt = this.#lastActivity = thread.loop.now;
    this.#idle = new Timer(() => this.#onIdle());
    this.#downstream = new RelayEnd(thread, socket, tls, this);
    thread.downstreams.add(this);
    const { maxConnectionDuration } = this.#config;
    if (maxConnectionDuration !== undefined) {
      this.#life = new Timer(() => this.#end(Flag.DT));
      thread.loop.setTimer(this.#life, maxConnectionDuration);
    }
    this.#connect();
  }

  // ----------------------------------------------------------------------------------------------- connecting

  #connect(): void {
    if (this.thread.overload.refusesWork()) return this.#end(Flag.UO);
    const name = chooseCluster(this.#config.clusters);
    const cluster = this.link.chain.proxy.clusters.get(name);
    if (cluster === undefined) return this.#end(Flag.NC);
    this.cluster = cluster;
    this.#attempts++;
    const host = cluster.choose(null, 1, this.#config.hashesSourceAddress ? this.#sourceHash() : null);
    if (host === null) return this.#end(Flag.UH);
    this.host = host;
    if (!this.#count(cluster, host)) return this.#end(Flag.UO);
    try {
      this.#connector = new Connector(cluster, host, this, false, callerAddresses(this.link));
    } catch (error) {
      if (!(error instanceof SocketError)) throw error;
      this.connectFailed({ timedOut: false, reason: error.message });
    }
  }

  /** As Envoy hashes it: the address without its port. */
  #sourceHash(): Hash64 {
    const address = ascii(withoutPort(this.link.peer.remoteAddress));
    const hash = new Hash64();
    xxHash64(address, 0, address.length, hash);
    return hash;
  }

  connected(channel: UpstreamChannel): void {
    const { thread } = this;
    this.#connector = null;
    recordConnected(channel.cluster, channel.host);
    this.upstreamPrincipal = channel.peerPrincipal;
    this.upstreamFailure = "";
    this.flags = 0;
    this.#series = tcpScope(this.link, this).tcp(Flag.none);
    thread.series.count(this.#series.opened, 1);
    this.#upstream = new RelayEnd(thread, channel.socket, channel.tls, this);
    this.#lastActivity = thread.loop.now;
    if (this.#config.idleTimeout > 0) thread.loop.setTimer(this.#idle, this.#config.idleTimeout);
    this.#downstream.relayTo(this.#upstream);
    this.#upstream.relayTo(this.#downstream);
  }

  connectFailed(failure: ConnectFailure): void {
    this.#connector = null;
    const cluster = this.cluster!;
    recordLocalFailure(cluster, this.host!);
    Atomics.add(cluster.shared, cluster.config.slot + ClusterSlot.connectFailures, 1);
    this.#uncount();
    this.upstreamFailure = failure.reason;
    this.flags |= Flag.UF;
    if (this.#attempts < this.#config.maxConnectAttempts) this.#connect();
    else this.#end(Flag.URX);
  }

  /** False when the circuit breaker of connections is open (Envoy: max_connections). */
  #count(cluster: Cluster, host: Host): boolean {
    const { slot, circuitBreakers } = cluster.config;
    const active = Atomics.add(cluster.shared, slot + ClusterSlot.activeConnections, 1);
    if (active >= circuitBreakers.maxConnections) {
      Atomics.sub(cluster.shared, slot + ClusterSlot.activeConnections, 1);
      Atomics.add(cluster.shared, slot + ClusterSlot.overflows, 1);
      return false;
    }
    Atomics.add(cluster.shared, slot + ClusterSlot.connections, 1);
    // What least request balances by.
    Atomics.add(cluster.shared, host.slot + HostSlot.activeRequests, 1);
    this.#counted = true;
    return true;
  }

  #uncount(): void {
    if (!this.#counted) return;
    this.#counted = false;
    const cluster = this.cluster!;
    Atomics.sub(cluster.shared, cluster.config.slot + ClusterSlot.activeConnections, 1);
    Atomics.sub(cluster.shared, this.host!.slot + HostSlot.activeRequests, 1);
  }

  // ------------------------------------------------------------------------------------------------- relaying

  received(end: RelayEnd, size: number): void {
    this.#lastActivity = this.thread.loop.now;
    const series = this.#series!;
    if (end === this.#downstream) {
      this.bytesReceived += size;
      this.thread.series.count(series.received, size);
    } else {
      this.bytesSent += size;
      this.thread.series.count(series.sent, size);
    }
  }

  finished(_end: RelayEnd): void {
    if (this.#downstream.finished && this.#upstream!.finished) this.#end(Flag.none);
  }

  broke(end: RelayEnd): void {
    // Envoy's flags for breaks are for HTTP only.
    this.#end(Flag.none, end);
  }

  #onIdle(): void {
    const left = this.#config.idleTimeout - (this.thread.loop.now - this.#lastActivity);
    if (left > 0) this.thread.loop.setTimer(this.#idle, left);
    else this.#end(Flag.none);
  }

  // -------------------------------------------------------------------------------------------------- the end

  /** Closes both ends. `broken`: the end that broke; the other one sees a break as well. */
  #end(flag: number, broken: RelayEnd | null = null): void {
    if (this.#closed) return;
    this.#closed = true;
    this.flags |= flag;
    this.thread.loop.clearTimer(this.#idle);
    if (this.#life !== null) this.thread.loop.clearTimer(this.#life);
    this.#connector?.cancel();
    this.#downstream.close(broken !== null && broken !== this.#downstream);
    this.#upstream?.close(broken !== null && broken !== this.#upstream);
    this.#uncount();
    this.#record();
    this.thread.downstreamClosed(this);
  }

  #record(): void {
    const scope = tcpScope(this.link, this);
    const ended = scope.tcp(this.flags);
    // One that never came to be relayed is opened and closed at once.
    if (this.#series === null) this.thread.series.count(ended.opened, 1);
    this.thread.series.count(ended.closed, 1);
    logConnection(this.thread, this.link, this, this.thread.loop.now - this.#startedAt);
  }

  /** While the agent drains, connections may end by themselves; one whose workload is gone ends now. */
  drain(): void {
    if (!this.thread.draining) this.close();
  }

  close(): void {
    this.#end(Flag.none);
  }

  reauthorize(): void {
    if (authorizeConnection(this.link, this.thread) !== null) return;
    this.terminationDetails = terminationDetails(this.link);
    this.#end(Flag.none);
  }
}

/** One of the clusters, in proportion to weight. */
export function chooseCluster(clusters: TcpProxyConfig["clusters"]): string {
  if (clusters.length === 1) return clusters[0].name;
  let left = Math.random() * clusters.reduce((sum, { weight }) => sum + weight, 0);
  for (const { name, weight } of clusters) {
    left -= weight;
    if (left < 0) return name;
  }
  return clusters[clusters.length - 1].name;
}
