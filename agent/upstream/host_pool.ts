/**
 * Connections of one data thread to one host, and requests that wait for one: HTTP/1.1 connections carry one request at
 * a time and wait idle for the next, an HTTP/2 connection carries many. Limits are the cluster's circuit breakers,
 * counted in shared memory for all threads together.
 */
import { ClusterSlot } from "../config/shared_memory.ts";
import type { Cluster, Host } from "../balance/cluster.ts";
import { connectInProcess } from "./in_process.ts";
import { hostOf } from "./request_head.ts";
import { SocketError } from "../sys/socket.ts";
import { type ConnectFailure, Connector, type ConnectOwner, isOutdated, type UpstreamChannel } from "./connector.ts";
import { Http1ClientConnection } from "./http1_client_connection.ts";
import { Http2ClientConnection } from "./http2_client_connection.ts";
import type { CallerAddresses } from "./proxy_protocol.ts";
import { switchesProtocol, type UpstreamRequest } from "./upstream_request.ts";

/** For how many names, or callers, one host has connections at a time, where these do not share any. */
const maximumParts = 64;

/** Requests that may share connections where not all may. */
interface PoolPart {
  /** The host that they are for, where TLS goes by it; empty: it does not. */
  authority: string;
  /** Whose they are, where the PROXY protocol tells; `null`: it does not, or they are the proxy's own. */
  caller: CallerAddresses | null;
}

const everybody: PoolPart = { authority: "", caller: null };

export class HostPool implements ConnectOwner {
  readonly #host: Host;
  readonly #cluster: Cluster;
  readonly #shared: Int32Array;
  /** The most recently used last: it is taken first. */
  readonly #idle: Http1ClientConnection[] = [];
  /** Those that take new requests. */
  readonly #http2: Http2ClientConnection[] = [];
  readonly #waiting: UpstreamRequest[] = [];
  /** Whether one connection may serve all that wait: HTTP/2 is offered, and the host has not declined it. */
  #mayMultiplex: boolean;
  /** Whether the host has HTTP/2 but not for other protocols (no SETTINGS_ENABLE_CONNECT_PROTOCOL). */
  #declinesUpgrades = false;
  /** For requests that only HTTP/1.1 can carry, upgrades to a host that declines them otherwise. */
  #http1: HostPool | null = null;
  readonly #http1Only: boolean;
  readonly #goesByAuthority: boolean;
  /** Where requests do not share connections with all others: one pool for each part, the one used last at the end. */
  readonly #parts: Map<string, HostPool> | null;
  readonly #part: PoolPart;
  #connecting = 0;
  #connections = 0;
  #draining = false;

  /** @param part where requests must not share connections with all others: those that these connections are for */
  constructor(host: Host, http1Only = false, part: PoolPart | null = null) {
    this.#host = host;
    this.#http1Only = http1Only;
    this.#part = part ?? everybody;
    const { autoSni, autoSanValidation } = host.cluster.config;
    this.#goesByAuthority = host.tls !== null && (autoSni === true || autoSanValidation === true);
    const isParted = this.#goesByAuthority || host.proxyProtocol !== null;
    this.#parts = isParted && part === null ? new Map() : null;
    this.#cluster = host.cluster;
    this.#shared = host.cluster.shared;
    const offersHttp2 = host.tls === null ? host.cluster.config.http2 !== undefined : host.tls.alpn.includes("h2");
    this.#mayMultiplex = offersHttp2 && !http1Only;
  }

  /**
   * Gives the request a connection, now or when there is one; false when a circuit breaker is open
   * (Envoy: max_requests, max_pending_requests).
   */
  request(request: UpstreamRequest): boolean {
    if (this.#parts !== null) return this.#partFor(this.#parts, request)?.request(request) ?? false;
    if (this.#goesByHttp1(request)) return this.#requestHttp1(request);
    const { circuitBreakers, slot } = this.#cluster.config;
    if (Atomics.load(this.#shared, slot + ClusterSlot.activeRequests) >= circuitBreakers.maxRequests) return false;
    const shared = this.#withRoom(request);
    if (shared !== null) {
      this.#startOn(shared, request);
      return true;
    }
    const idle = this.#idle.pop();
    if (idle !== undefined) {
      idle.start(request);
      return true;
    }
    if (Atomics.load(this.#shared, slot + ClusterSlot.pendingRequests) >= circuitBreakers.maxPendingRequests) {
      return false;
    }
    this.#waiting.push(request);
    Atomics.add(this.#shared, slot + ClusterSlot.pendingRequests, 1);
    // A connection whose peer has not yet said what it takes may be the one for an upgrade.
    if (!switchesProtocol(request) || this.#http2.every((connection) => connection.peer.received)) this.#connect();
    return true;
  }

  /** Whether HTTP/2 is there, but not for this request. */
  #goesByHttp1(request: UpstreamRequest): boolean {
    if (!this.#mayMultiplex) return false;
    return (switchesProtocol(request) && this.#declinesUpgrades) ||
      (this.#cluster.config.usesDownstreamProtocol === true && !request.cameByHttp2);
  }

  #requestHttp1(request: UpstreamRequest): boolean {
    this.#http1 ??= new HostPool(this.#host, true, this.#part);
    return this.#http1.request(request);
  }

  /** Takes back a request that still waits; false when it does not. */
  withdraw(request: UpstreamRequest): boolean {
    for (const pool of this.#parts?.values() ?? []) if (pool.withdraw(request)) return true;
    const index = this.#waiting.indexOf(request);
    if (index < 0) return this.#http1 !== null && this.#http1.withdraw(request);
    this.#waiting.splice(index, 1);
    this.#leavePending();
    return true;
  }

  /** A connection is free: for the first time or again. */
  release(connection: Http1ClientConnection): void {
    const limit = this.#cluster.config.maxRequestsPerConnection;
    const spent = (limit > 0 && connection.requests >= limit) || connection.tooOld;
    if (spent || isOutdated(connection.channel) || (this.#draining && this.#waiting.length === 0)) {
      connection.close();
      return;
    }
    const next = this.#waiting.shift();
    if (next === undefined) {
      connection.idleSince = this.#cluster.thread.loop.now;
      this.#idle.push(connection);
      return;
    }
    this.#leavePending();
    connection.start(next);
  }

  connected(channel: UpstreamChannel): void {
    this.#connecting--;
    const priorKnowledge = channel.tls === null && this.#cluster.config.http2 !== undefined && !this.#http1Only;
    if (channel.protocol !== "h2" && !priorKnowledge) {
      this.#mayMultiplex = false;
      this.release(new Http1ClientConnection(channel, this));
      this.#connect();
      return;
    }
    this.#mayMultiplex = true;
    if (channel.inProcess !== null) {
      Atomics.add(this.#shared, this.#cluster.config.slot + ClusterSlot.inProcessConnections, 1);
    }
    const connection = new Http2ClientConnection(channel, this);
    this.#http2.push(connection);
    this.#serveWaiting();
    if (this.#draining) this.retire(connection);
  }

  /** An HTTP/2 connection may have room, or has said what it takes. */
  http2Ready(connection: Http2ClientConnection): void {
    this.#declinesUpgrades = connection.peer.received && !connection.peer.takesExtendedConnect;
    this.#serveWaiting();
  }

  /** HTTP/2 connections take what waits, in its order; upgrades that they do not take hold up nothing. */
  #serveWaiting(): void {
    for (let i = 0; i < this.#waiting.length;) {
      const request = this.#waiting[i];
      const connection = this.#withRoom(request);
      const declined = connection === null && switchesProtocol(request) && this.#declinesUpgrades;
      if (connection === null && !declined) {
        if (!switchesProtocol(request)) return this.#connect();
        i++;
        continue;
      }
      this.#waiting.splice(i, 1);
      this.#leavePending();
      if (connection !== null) this.#startOn(connection, request);
      else if (!this.#requestHttp1(request)) request.onConnectFailure({ timedOut: false, reason: "overflow" });
    }
    if (this.#waiting.length > 0 && this.#http2.every((connection) => connection.peer.received)) this.#connect();
  }

  /** An HTTP/2 connection takes no more requests; those it has may finish. */
  http2Leaves(connection: Http2ClientConnection): void {
    const index = this.#http2.indexOf(connection);
    if (index >= 0) this.#http2.splice(index, 1);
    this.#connect();
  }

  http2Closed(connection: Http2ClientConnection): void {
    this.#closed();
    this.http2Leaves(connection);
  }

  #withRoom(request: UpstreamRequest): Http2ClientConnection | null {
    for (let i = 0; i < this.#http2.length; i++) {
      if (this.#http2[i].takes(request)) return this.#http2[i];
    }
    return null;
  }

  #startOn(connection: Http2ClientConnection, request: UpstreamRequest): void {
    connection.start(request);
    const limit = this.#cluster.config.maxRequestsPerConnection;
    if ((limit > 0 && connection.requests >= limit) || isOutdated(connection.channel)) this.retire(connection);
  }

  /** The connection takes no more requests, and closes when those it has are done. */
  retire(connection: Http2ClientConnection): void {
    const index = this.#http2.indexOf(connection);
    if (index >= 0) this.#http2.splice(index, 1);
    connection.drain();
  }

  /** A new connection did not come about: as in Envoy, every request that waits learns of it. */
  connectFailed(failure: ConnectFailure): void {
    this.#connecting--;
    this.#closed();
    Atomics.add(this.#shared, this.#cluster.config.slot + ClusterSlot.connectFailures, 1);
    const failed = this.#waiting.splice(0);
    for (const request of failed) {
      this.#leavePending();
      request.onConnectFailure(failure);
    }
  }

  /** A connection that had been ready is gone. */
  disconnected(connection: Http1ClientConnection): void {
    const index = this.#idle.indexOf(connection);
    if (index >= 0) this.#idle.splice(index, 1);
    this.#closed();
    this.#connect();
  }

  /** No more idle connections: the host has left the configuration. */
  drain(): void {
    for (const pool of this.#parts?.values() ?? []) pool.drain();
    this.#http1?.drain();
    this.#draining = true;
    for (const connection of this.#idle.splice(0)) connection.close();
    for (const connection of [...this.#http2]) this.retire(connection);
  }

  /** Connections made with the certificate of before are not used again. */
  renew(): void {
    for (const pool of this.#parts?.values() ?? []) pool.renew();
    this.#http1?.renew();
    for (const connection of [...this.#idle]) {
      if (isOutdated(connection.channel)) connection.close();
    }
    for (const connection of [...this.#http2]) {
      if (isOutdated(connection.channel)) this.retire(connection);
    }
  }

  /** The pool for the request's part; `null` where requests wait for connections for too many others. */
  #partFor(pools: Map<string, HostPool>, request: UpstreamRequest): HostPool | null {
    const authority = this.#goesByAuthority ? hostOf(request.head) : "";
    const caller = this.#host.proxyProtocol === null ? null : request.caller;
    const key = caller === null ? authority : `${authority} ${caller.remote} ${caller.local}`;
    let pool = pools.get(key);
    if (pool === undefined) {
      // Callers make the parts: connections for those not used for longest go first.
      for (const [oldest, other] of pools) {
        if (pools.size < maximumParts) break;
        if (other.#waiting.length > 0) continue;
        other.drain();
        pools.delete(oldest);
      }
      if (pools.size >= maximumParts) return null;
      pool = new HostPool(this.#host, false, { authority, caller });
    }
    pools.delete(key);
    pools.set(key, pool);
    return pool;
  }

  #connect(): void {
    const { circuitBreakers, slot } = this.#cluster.config;
    while (this.#connecting < (this.#mayMultiplex ? Math.min(this.#waiting.length, 1) : this.#waiting.length)) {
      // Envoy always allows one connection per host, so that a limit of 0 does not mean never.
      const atLimit =
        Atomics.load(this.#shared, slot + ClusterSlot.activeConnections) >= circuitBreakers.maxConnections;
      if (atLimit && this.#connections > 0) {
        Atomics.add(this.#shared, slot + ClusterSlot.overflows, 1);
        return;
      }
      this.#connecting++;
      this.#connections++;
      Atomics.add(this.#shared, slot + ClusterSlot.activeConnections, 1);
      Atomics.add(this.#shared, slot + ClusterSlot.connections, 1);
      try {
        const pair = this.#http1Only ? null : connectInProcess(this.#host);
        const { caller, authority } = this.#part;
        new Connector(this.#cluster, this.#host, this, this.#http1Only, caller, authority, pair);
      } catch (error) {
        if (!(error instanceof SocketError)) throw error;
        this.connectFailed({ timedOut: false, reason: error.message });
        return;
      }
    }
  }

  #closed(): void {
    this.#connections--;
    Atomics.sub(this.#shared, this.#cluster.config.slot + ClusterSlot.activeConnections, 1);
  }

  #leavePending(): void {
    Atomics.sub(this.#shared, this.#cluster.config.slot + ClusterSlot.pendingRequests, 1);
  }
}
