/**
 * A connection to an upstream host until it can carry requests: connecting, TLS, the peer's identity held against what
 * the cluster expects. Then its owner takes the channel; whatever goes wrong costs this connection only.
 */
import { isIP } from "node:net";
import type { Cluster, Host } from "../balance/cluster.ts";
import { spiffePrincipal } from "../identify/certificate_names.ts";
import { EPOLLIN, EPOLLOUT } from "../sys/epoll.ts";
import { errnoText } from "../sys/libc.ts";
import { Socket } from "../sys/socket.ts";
import type { TlsContext } from "../sys/tls_context.ts";
import { HANDSHAKE_DONE, HANDSHAKE_FAILED, HANDSHAKE_WANTS_WRITE, TlsSession } from "../sys/tls_session.ts";
import { type CallerAddresses, proxyHeader } from "./proxy_protocol.ts";
import type { Watcher } from "../worker/event_loop.ts";
import type { InProcessEnd, InProcessPair } from "../worker/in_process.ts";
import type { DataThread } from "../worker/thread.ts";
import { Timer } from "../worker/timer_wheel.ts";

export interface ConnectFailure {
  timedOut: boolean;
  /** For the log: what the operating system or TLS said. */
  reason: string;
}

/** An established connection; whoever takes it owns socket and session, or what has taken their place. */
export interface UpstreamChannel {
  readonly cluster: Cluster;
  readonly host: Host;
  readonly socket: Socket;
  readonly tls: TlsSession | null;
  /** Carries the bytes in the place of socket and session, which are not to be used then; `null`: they do. */
  readonly inProcess: InProcessEnd | null;
  /** What the session was made from; only to be compared, since it may have been replaced. */
  readonly context: TlsContext | null;
  /** `spiffe://…` of the peer; empty without mutual TLS. */
  readonly peerPrincipal: string;
  /** What ALPN agreed on; empty without. */
  readonly protocol: string;
}

/** Whether the certificate that the channel was made with has been replaced since. */
export function isOutdated(channel: UpstreamChannel): boolean {
  return channel.host.contextSlot !== null && channel.host.contextSlot.context !== channel.context;
}

export interface ConnectOwner {
  connected(channel: UpstreamChannel): void;
  connectFailed(failure: ConnectFailure): void;
}

export class Connector implements Watcher {
  readonly #thread: DataThread;
  readonly #socket: Socket;
  readonly #timer: Timer;
  #tls: TlsSession | null = null;
  #context: TlsContext | null = null;

  /**
   * Starts connecting; the owner hears how it went, once. `http1Only`: HTTP/2 is not offered. `caller`: on
   * whose behalf, for the PROXY protocol. `authority`: the host that requests are for, where TLS goes by it.
   * `pair`: the connection is to another workload of this agent.
   *
   * @throws SocketError when it fails at once.
   */
  constructor(
    private readonly cluster: Cluster,
    private readonly host: Host,
    private readonly owner: ConnectOwner,
    private readonly http1Only = false,
    private readonly caller: CallerAddresses | null = null,
    private readonly authority = "",
    private readonly pair: InProcessPair | null = null,
  ) {
    this.#thread = cluster.thread;
    this.#socket = pair?.callerSocket ?? Socket.connect(host.config.address, host.config.port);
    const keepalive = cluster.config.tcpKeepalive;
    if (keepalive !== null && host.config.port !== 0) {
      this.#socket.setKeepalive(keepalive.probes, keepalive.time / 1000, keepalive.interval / 1000);
    }
    this.#thread.loop.watch(this.#socket.descriptor, EPOLLOUT, this);
    this.#timer = new Timer(() => this.#fail("connection timeout", true));
    this.#thread.loop.setTimer(this.#timer, cluster.config.connectTimeout);
  }

  onEvents(_events: number): void {
    if (this.#tls !== null) return this.#handshake();
    const error = this.#socket.connectError();
    if (error !== 0) return this.#fail(errnoText(error));
    const { proxyProtocol } = this.host;
    if (proxyProtocol !== null) {
      const header = proxyHeader(proxyProtocol, this.caller);
      // A connection that is new takes as much at once.
      if (this.#socket.write(header, null, 0, header.length) !== header.length) return this.#fail("cannot send");
    }
    if (this.host.tls === null) return this.#done("", "");
    this.#context = this.host.contextSlot!.context;
    if (this.#context === null) return this.#fail("no certificate yet for this workload");
    const sni = this.cluster.config.autoSni ? this.authority : this.host.tls.sni;
    // An address is no server name (RFC 6066 §3).
    this.#tls = new TlsSession(this.#context, this.#socket, isIP(sni) === 0 ? sni : "", `${this.host.label} ${sni}`);
    if (this.http1Only) this.#tls.offer(this.host.tls.alpn.filter((protocol) => !protocol.endsWith("h2")));
    this.#handshake();
  }

  /** Gives up; the owner hears nothing more. */
  cancel(): void {
    this.#close();
  }

  abandon(): void {
    this.#fail("internal error");
  }

  #handshake(): void {
    const tls = this.#tls!;
    const result = tls.handshake();
    if (result === HANDSHAKE_FAILED) return this.#fail(`TLS error: ${tls.failure}`);
    if (result !== HANDSHAKE_DONE) {
      return this.#thread.loop.change(this.#socket.descriptor, result === HANDSHAKE_WANTS_WRITE ? EPOLLOUT : EPOLLIN);
    }
    const certificate = tls.peerCertificate();
    const peer = certificate === null ? null : { certificate, publicKey: () => tls.peerPublicKey() };
    const problem = this.host.verification!.judge(peer, this.cluster.config.autoSanValidation ? this.authority : "");
    if (problem !== "") return this.#fail(problem);
    this.#done(certificate === null ? "" : spiffePrincipal(certificate), tls.applicationProtocol());
  }

  #done(peerPrincipal: string, protocol: string): void {
    const { loop } = this.#thread;
    loop.clearTimer(this.#timer);
    let inProcess: InProcessEnd | null = null;
    if (this.pair !== null && protocol === "h2" && !this.pair.staysOnSockets) {
      loop.unwatch(this.#socket.descriptor);
      inProcess = this.pair.takeCaller(this.#tls!, this.#socket);
    }
    this.owner.connected({
      cluster: this.cluster,
      host: this.host,
      socket: this.#socket,
      tls: this.#tls,
      inProcess,
      context: this.#context,
      peerPrincipal,
      protocol,
    });
  }

  #fail(reason: string, timedOut = false): void {
    this.#close();
    this.owner.connectFailed({ timedOut, reason });
  }

  #close(): void {
    this.#thread.loop.clearTimer(this.#timer);
    this.#thread.loop.unwatch(this.#socket.descriptor);
    this.#tls?.close();
    this.#socket.close();
    this.pair?.giveUp();
  }
}
