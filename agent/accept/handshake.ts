/**
 * A connection that has been accepted on an address with TLS, until it is known what it is: looks at the ClientHello,
 * chooses the filter chain, does the handshake, and hands the socket to the codec.
 */
import type { ListenerConfig } from "../config/model.ts";
import { DownstreamLink } from "../downstream_stream.ts";
import { clientCertElement } from "../identify/forwarded_client_cert.ts";
import { spiffePrincipal } from "../identify/certificate_names.ts";
import { EPOLLIN, EPOLLOUT, EPOLLRDHUP } from "../sys/epoll.ts";
import { END_OF_STREAM, FAILED, type Socket, WOULD_BLOCK } from "../sys/socket.ts";
import { HANDSHAKE_DONE, HANDSHAKE_FAILED, HANDSHAKE_WANTS_WRITE, TlsSession } from "../sys/tls_session.ts";
import type { Watcher } from "../worker/event_loop.ts";
import type { InProcessPair } from "../worker/in_process.ts";
import type { DataThread } from "../worker/thread.ts";
import { Timer } from "../worker/timer_wheel.ts";
import { type ClientHello, clientHelloLength, INCOMPLETE, NOT_TLS, parseClientHello } from "./client_hello.ts";
import { type FilterChain, matchFilterChain, successorOf } from "./filter_chain.ts";
import {
  NOT_PROXY,
  parseProxyHeader,
  PROXY_INCOMPLETE,
  PROXY_INVALID,
  type ProxyHeader,
  proxyHeaderLength,
} from "./proxy_protocol.ts";
import { inspectHttp, type PlaintextProtocol, UNDECIDED } from "./http_inspector.ts";
import { serve } from "./serve.ts";

/** Of the address that accepted the connection, what holds at the moment it is looked at. */
export interface AcceptingAddress {
  readonly chains: readonly FilterChain[];
  /** Whether the first bytes decide among the chains. */
  readonly needsDetection: boolean;
  /** ClientHello and handshake must be done by then, milliseconds (Envoy's transport_socket_connect_timeout). */
  readonly handshakeTimeout: number;
  readonly proxyProtocol: ListenerConfig["proxyProtocol"] | null;
  /** Whether it matters what plaintext connections speak. */
  readonly inspectsHttp: boolean;
  /** How long finding out may take, and what then; `null`: as long as the handshake, and then it is over. */
  readonly detection: ListenerConfig["detection"] | null;
}

export class Handshake implements Watcher {
  readonly #timer: Timer;
  #tls: TlsSession | null = null;
  #chain: FilterChain | null = null;
  #serverName = "";
  #plaintext: PlaintextProtocol = "";
  /** Whatever the PROXY protocol says. */
  readonly #directAddress: string;
  #awaitsProxyHeader: boolean;

  constructor(
    private readonly thread: DataThread,
    private readonly socket: Socket,
    private remoteAddress: string,
    private readonly address: AcceptingAddress,
    private readonly turn: number,
    private readonly pair: InProcessPair | null = null,
  ) {
    this.#directAddress = remoteAddress;
    this.#awaitsProxyHeader = address.proxyProtocol !== null;
    thread.loop.watch(socket.descriptor, EPOLLIN | EPOLLRDHUP, this);
    this.#timer = new Timer(() => this.#late());
    const timeout = address.detection?.continues ? address.detection.timeout : address.handshakeTimeout;
    thread.loop.setTimer(this.#timer, timeout);
    thread.handshakes.add(this);
  }

  onEvents(events: number): void {
    if (this.#tls === null) this.#detect((events & EPOLLRDHUP) !== 0);
    else this.#shake();
  }

  #detect(ended: boolean): void {
    const { bytes } = this.thread.input;
    const size = this.socket.peek(bytes, bytes.length);
    if (size === WOULD_BLOCK) return;
    if (size === END_OF_STREAM || size === FAILED) return this.#close();
    if (this.#awaitsProxyHeader) return this.#takeProxyHeader(size, ended);
    const hello = parseClientHello(bytes, size);
    // No more will come: epoll would tell of that again and again.
    if (hello === INCOMPLETE && ended) return this.#close();
    if (hello === INCOMPLETE) return this.socket.setReceiveLowWater(clientHelloLength(bytes, size));
    if (hello === NOT_TLS && this.address.inspectsHttp) {
      const protocol = inspectHttp(bytes, size);
      if (protocol === UNDECIDED && !ended) return this.socket.setReceiveLowWater(size + 1);
      if (protocol !== UNDECIDED) this.#plaintext = protocol;
    }
    this.socket.setReceiveLowWater(1);
    this.#choose(hello === NOT_TLS ? null : hello);
  }

  /** A client that says nothing may wait for the server to speak first. */
  #late(): void {
    if (this.#tls !== null || this.#awaitsProxyHeader || !this.address.detection?.continues) return this.#close();
    this.socket.setReceiveLowWater(1);
    this.#choose(null);
  }

  #takeProxyHeader(size: number, ended: boolean): void {
    const { bytes, pointer } = this.thread.input;
    const header = parseProxyHeader(bytes, size);
    if (header === PROXY_INCOMPLETE) {
      if (ended) return this.#close();
      return this.socket.setReceiveLowWater(proxyHeaderLength(bytes, size));
    }
    const isMissing = header === NOT_PROXY && this.address.proxyProtocol?.allowRequestsWithoutProxyProtocol === true;
    if (!isMissing && (header === NOT_PROXY || header === PROXY_INVALID)) {
      this.thread.log("debug", "no PROXY protocol header", { from: this.remoteAddress });
      return this.#close();
    }
    this.socket.setReceiveLowWater(1);
    this.#awaitsProxyHeader = false;
    if (!isMissing) {
      const { length, remoteAddress } = header as ProxyHeader;
      this.socket.read(bytes, pointer, 0, length);
      if (remoteAddress !== null) this.remoteAddress = remoteAddress;
    }
    if (this.address.needsDetection) this.#detect(ended);
    // The server may be the first to speak.
    else this.#choose(null);
  }

  #choose(hello: ClientHello | null): void {
    const chain = matchFilterChain(this.address.chains, hello, this.turn, this.#plaintext);
    if (chain === null) {
      // As in Envoy: nobody is told anything.
      this.thread.log("debug", "no filter chain for connection", {
        from: this.remoteAddress,
        serverName: hello?.serverName ?? "(no TLS)",
      });
      return this.#close();
    }
    this.#chain = chain;
    if (this.pair !== null) this.pair.staysOnSockets = chain.config.tcp !== null;
    this.#serverName = hello?.serverName ?? "";
    if (chain.contextSlot === null) return this.#handOver();
    const { context } = chain.contextSlot;
    if (hello === null || context === null) return this.#close();
    this.thread.loop.setTimer(this.#timer, this.address.handshakeTimeout);
    this.#tls = new TlsSession(context, this.socket, "");
    this.#shake();
  }

  #shake(): void {
    const result = this.#tls!.handshake();
    if (result === HANDSHAKE_DONE) return this.#handOver();
    if (result === HANDSHAKE_FAILED) {
      this.thread.log("debug", "TLS handshake failed", { from: this.remoteAddress, reason: this.#tls!.failure });
      return this.#close();
    }
    this.thread.loop.change(this.socket.descriptor, result === HANDSHAKE_WANTS_WRITE ? EPOLLIN | EPOLLOUT : EPOLLIN);
  }

  #handOver(): void {
    const { chains } = this.address;
    const chosen = this.#chain!;
    // What has changed during the handshake counts.
    const chain = chains.includes(chosen) ? chosen : successorOf(chosen, chains);
    if (chain === null) return this.#close();
    const certificate = this.#tls?.peerCertificate() ?? null;
    const details = chain.config.http?.clientCertDetails;
    const principal = certificate === null ? "" : spiffePrincipal(certificate);
    // In the mesh every peer has exactly one identity; a certificate without it says nothing that we can judge by.
    if (chain.config.tls?.requireClientCertificate && chain.inbound && principal === "") return this.#close();
    if (certificate !== null && chain.clientVerification !== null) {
      const tls = this.#tls!;
      const problem = chain.clientVerification.judge({ certificate, publicKey: () => tls.peerPublicKey() });
      if (problem !== "") {
        this.thread.log("debug", "TLS handshake failed", { from: this.remoteAddress, reason: problem });
        return this.#close();
      }
    }
    this.#leave();
    serve(
      this.thread,
      this.socket,
      this.#tls,
      new DownstreamLink(chain, {
        remoteAddress: this.remoteAddress,
        directAddress: this.#directAddress,
        serverName: this.#serverName,
        tlsVersion: this.#tls?.version() ?? "",
        principal,
        clientCertElement: certificate === null ? "" : clientCertElement(
          [certificate, ...(details?.chain ? this.#tls!.peerChain() : [])],
          chain.proxy.description.principal,
          details,
        ),
      }),
      this.pair,
      this.#plaintext,
    );
  }

  #leave(): void {
    this.thread.handshakes.delete(this);
    this.thread.loop.clearTimer(this.#timer);
    this.thread.loop.unwatch(this.socket.descriptor);
  }

  #close(): void {
    this.#leave();
    this.thread.overload.publish();
    this.#tls?.close();
    this.socket.close();
    this.pair?.refuse();
  }

  abandon(): void {
    this.#close();
  }

  /** The thread drains: whoever has not finished the handshake is let go. */
  drain(): void {
    this.#close();
  }
}
