/** What an exchange asks of its caller's side: an HTTP/1.1 connection, or a stream of an HTTP/2 connection. */
import type { FilterChain } from "./accept/filter_chain.ts";
import { identitySegments } from "../routing/authorize/identity_pattern.ts";
import type { ConnectionRules } from "../routing/authorize/judge.ts";
import { peerAddress, withoutPort } from "./identify/client_address.ts";
import type { Fields, ResponseHead } from "./decode/head.ts";
import type { MetricScope, Service } from "./record/request_metrics.ts";
import type { CompiledMutation } from "./route/header_mutation.ts";

/** Who is at the other end, as far as accepting the connection has shown. */
export interface DownstreamPeer {
  /** `address:port`, as the PROXY protocol tells it where that is on. */
  remoteAddress: string;
  /** `address:port` of the other end of the connection itself. */
  directAddress: string;
  /** SNI; empty without TLS. */
  serverName: string;
  /** `TLSv1.3` …; empty without TLS. */
  tlsVersion: string;
  /** `spiffe://…` of the client certificate; empty: none. */
  principal: string;
  /** The element for `x-forwarded-client-cert` that speaks of this peer; empty without a client certificate. */
  clientCertElement: string;
}

/** What all requests of one connection have in common. */
export class DownstreamLink {
  /** Metrics of requests from this peer to {@link scopeService}. */
  scope: MetricScope | null = null;
  scopeService: Service | null = null;

  /** The peer's address without its port. */
  readonly peerAddress: string;
  /** What `x-forwarded-client-cert` says of the peer, once somebody has asked. */
  clientCertLine: Uint8Array | null = null;
  #chain: FilterChain;
  #rules: ConnectionRules | null;

  constructor(chain: FilterChain, readonly peer: DownstreamPeer) {
    this.peerAddress = peerAddress(peer);
    this.#chain = chain;
    this.#rules = this.#rulesOf(chain);
  }

  get chain(): FilterChain {
    return this.#chain;
  }

  /** The chain's rules for this connection; `null`: none. */
  get rules(): ConnectionRules | null {
    return this.#rules;
  }

  /** The configuration has changed: from now on another chain serves the connection. */
  adopt(chain: FilterChain): void {
    this.#chain = chain;
    this.#rules = this.#rulesOf(chain);
  }

  #rulesOf({ rules, listener }: FilterChain): ConnectionRules | null {
    if (rules === null) return null;
    const { principal, serverName } = this.peer;
    return rules.forConnection({
      principal,
      identity: identitySegments(principal),
      peerAddress: withoutPort(this.peer.directAddress),
      localAddress: listener.address,
      localPort: listener.port,
      serverName,
    });
  }
}

/** Where a body ends, as far as its head tells: kind is one of `BodyKind`; `done`: there is none (left). */
export interface BodyFraming {
  readonly kind: number;
  readonly length: number;
  readonly done: boolean;
}

export interface DownstreamStream {
  readonly link: DownstreamLink;
  /** Whether the request is a HEAD. */
  readonly isHead: boolean;
  /** `HTTP/1.1` …, for the log. */
  readonly protocol: string;
  /** Whether the caller takes no more of the response for now. */
  readonly congested: boolean;
  /** The request's body can go on. */
  resumeRequest(): void;
  sendResponse(
    head: ResponseHead,
    body: BodyFraming,
    upstreamTime: number,
    mutations: readonly CompiledMutation[],
  ): void;
  sendBody(bytes: Uint8Array, offset: number, size: number): void;
  /** Sends the trailers that go on, where the caller's protocol has a place for them; {@link endResponse} follows. */
  sendTrailers(fields: Fields): void;
  endResponse(): void;
  /** Cuts the response off, so that the caller sees that it is not whole. */
  abortResponse(): void;
  /** Writes a whole reply of the proxy's own; returns the size of its body. */
  sendLocalReply(status: number, body: string, headers: string, close: boolean): number;
  /** The exchange is recorded and gives the stream free. */
  exchangeDone(): void;
}

/** A caller's connection, as draining sees it. */
export interface DownstreamConnection {
  readonly link: DownstreamLink;
  /** Closes now if no request is in flight, else after the last one. */
  drain(): void;
  /** The rules have changed: what they do not allow any more ends now. */
  reauthorize(): void;
  close(): void;
}
