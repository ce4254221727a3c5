/** One address and port of a data thread: the listening socket, and the filter chains of all proxies that share it. */
import type { ListenerConfig } from "../config/model.ts";
import { DownstreamLink } from "../downstream_stream.ts";
import { EPOLLIN } from "../sys/epoll.ts";
import { ListeningSocket, NO_CONNECTION, NO_RESOURCES, type Socket } from "../sys/socket.ts";
import type { Watcher } from "../worker/event_loop.ts";
import type { DataThread } from "../worker/thread.ts";
import { Timer } from "../worker/timer_wheel.ts";
import { type FilterChain, matchFilterChain } from "./filter_chain.ts";
import { type AcceptingAddress, Handshake } from "./handshake.ts";
import { serve } from "./serve.ts";
import { InProcessPair } from "../worker/in_process.ts";

/** Connections taken in one turn of the loop at the most, so that those that exist are not starved. */
const acceptsPerTurn = 64;
/** Connections that the kernel takes ahead of us at the most. */
const queueLength = 4096;
/** Until a connection must have finished its handshake where the listener does not say, milliseconds. */
const defaultHandshakeTimeout = 15_000;
/** How long to wait when no descriptor is left, milliseconds. */
const resourcePause = 100;

export class ListeningAddress implements Watcher, AcceptingAddress {
  readonly #socket: ListeningSocket;
  readonly #retry: Timer;
  chains: readonly FilterChain[] = [];
  needsDetection = false;
  proxyProtocol: ListenerConfig["proxyProtocol"] | null = null;
  handshakeTimeout = defaultHandshakeTimeout;
  inspectsHttp = false;
  detection: ListenerConfig["detection"] | null = null;
  #turn = 0;
  #warned = false;

  /** @throws SocketError when the address cannot be bound. */
  constructor(private readonly thread: DataThread, readonly address: string, readonly port: number) {
    this.#socket = new ListeningSocket(address, port);
    this.#retry = new Timer(() => this.thread.loop.change(this.#socket.descriptor, EPOLLIN));
    thread.loop.watch(this.#socket.descriptor, EPOLLIN, this);
  }

  /** The chains for connections accepted from now on; those that exist keep theirs. */
  setChains(chains: readonly FilterChain[]): void {
    this.chains = chains;
    this.proxyProtocol = chains.find(({ listener }) => listener.proxyProtocol !== undefined)?.listener.proxyProtocol ??
      null;
    const timeouts = chains.map(({ listener }) => listener.handshakeTimeout ?? defaultHandshakeTimeout);
    this.handshakeTimeout = Math.min(...timeouts);
    this.inspectsHttp = chains.some(({ listener }) => listener.inspectsHttp === true);
    this.detection = chains.find(({ listener }) => listener.detection !== undefined)?.listener.detection ?? null;
    this.needsDetection = chains.length !== 1 || chains[0].config.tls !== null ||
      chains[0].config.transportProtocol === "tls" || chains[0].config.serverNames.length > 0;
  }

  onEvents(_events: number): void {
    this.#accept(acceptsPerTurn);
    this.thread.overload.publish();
  }

  #accept(most: number): void {
    for (let i = 0; i < most; i++) {
      const socket = this.#socket.accept();
      if (socket === NO_CONNECTION) return;
      if (socket === NO_RESOURCES) return this.#pause();
      this.#take(socket);
    }
  }

  /** A fault cost one connection; the address goes on. */
  abandon(): void {}

  #take(socket: Socket): void {
    const remoteAddress = `${this.#socket.peer.address}:${this.#socket.peer.port}`;
    if (this.thread.overload.refusesConnection()) return socket.close();
    this.#turn++;
    if (this.needsDetection || this.proxyProtocol !== null) {
      new Handshake(this.thread, socket, remoteAddress, this, this.#turn);
      return;
    }
    const chain = matchFilterChain(this.chains, null, this.#turn);
    if (chain === null) return socket.close();
    serve(
      this.thread,
      socket,
      null,
      new DownstreamLink(chain, {
        remoteAddress,
        directAddress: remoteAddress,
        serverName: "",
        tlsVersion: "",
        principal: "",
        clientCertElement: "",
      }),
    );
  }

  /**
   * A connection from another workload of this thread, taken as one that was accepted; `null` where it has to come over
   * the wire.
   *
   * @throws SocketError when no sockets can be made.
   */
  connectInProcess(): InProcessPair | null {
    const takesCallers = this.proxyProtocol === null && this.chains.length > 0 &&
      this.chains.every(({ inbound }) => inbound);
    if (!takesCallers) return null;
    const pair = new InProcessPair(this.thread);
    this.#turn++;
    if (this.thread.overload.refusesConnection()) pair.receiverSocket.close();
    // The port that the kernel would have chosen is nobody's.
    else new Handshake(this.thread, pair.receiverSocket, `${sourceOf(this.address)}:0`, this, this.#turn, pair);
    this.thread.overload.publish();
    return pair;
  }

  /** Without descriptors the connection stays in the backlog: looking at once again would only spin. */
  #pause(): void {
    if (!this.#warned) {
      this.#warned = true;
      this.thread.log("error", "no file descriptors left: connections wait", {
        address: `${this.address}:${this.port}`,
      });
    }
    this.thread.loop.change(this.#socket.descriptor, 0);
    this.thread.loop.setTimer(this.#retry, resourcePause);
  }

  close(): void {
    // Connections that the kernel has taken for us are served: with their socket it would reset them.
    this.#accept(queueLength);
    this.thread.loop.clearTimer(this.#retry);
    this.thread.loop.unwatch(this.#socket.descriptor);
    this.#socket.close();
  }
}

/** The address that the kernel gives to the near end of a connection to this address of the machine's own. */
function sourceOf(address: string): string {
  return address.startsWith("127.") ? "127.0.0.1" : address;
}
