/** What a connection to an upstream host asks of, and tells to, the request it carries. */
import { CONNECT } from "../decode/http1/upgrade.ts";
import type { Fields, ResponseHead } from "../decode/head.ts";
import type { ByteQueue } from "../worker/buffers.ts";
import type { BodyFraming } from "../downstream_stream.ts";
import type { ConnectFailure } from "./connector.ts";
import type { CallerAddresses } from "./proxy_protocol.ts";
import type { UpstreamStream } from "./upstream_stream.ts";

/** Why a connection gave up a request that it had been given. */
export type StreamFailure = "reset" | "refused" | "protocolError";

/** What finds a connection for a request. */
export interface UpstreamSource {
  /** Gives the request a connection, now or when there is one; false when a circuit breaker is open. */
  request(request: UpstreamRequest): boolean;
  /** Takes back a request that still waits; false when it does not. */
  withdraw(request: UpstreamRequest): boolean;
}

/** Whether the request is for another protocol, which over HTTP/2 is an extended CONNECT (RFC 8441). */
export function switchesProtocol({ upgrade }: UpstreamRequest): boolean {
  return upgrade !== "" && upgrade !== CONNECT;
}

export interface UpstreamRequest {
  /** Request line and headers as HTTP/1.1, without framing headers and without the empty line at the end. */
  readonly head: ByteQueue;
  /** Body bytes received so far and kept; on an attempt they are sent first. */
  readonly body: ByteQueue;
  /** Trailers received and kept; on an attempt they go behind {@link body}. `null`: none. */
  readonly trailers: Fields | null;
  /** What the caller wants to switch to, in lower case (the body is then a `tunnel`), or {@link CONNECT}; empty: nothing. */
  readonly upgrade: string;
  /** Framing of the request's body: one of `BodyKind`. */
  readonly bodyKind: number;
  readonly bodyLength: number;
  /** Whether the request has been received whole. */
  readonly requestComplete: boolean;
  readonly isHead: boolean;
  /** Whether the caller speaks HTTP/2. */
  readonly cameByHttp2: boolean;
  /** The ends of the caller's connection; `null`: there is none. */
  readonly caller: CallerAddresses | null;

  onConnectFailure(failure: ConnectFailure): void;
  /** A stream has taken the request and sent what there is of it. */
  onAttached(stream: UpstreamStream): void;
  /** False: the response is not wanted (it is tried again), and the connection is given up. */
  onResponseHead(head: ResponseHead, body: BodyFraming): boolean;
  onResponseData(bytes: Uint8Array<ArrayBuffer>, offset: number, size: number): void;
  /** The trailers, without what is not forwarded; {@link onResponseEnd} follows. */
  onResponseTrailers(fields: Fields): void;
  onResponseEnd(): void;
  onFailure(failure: StreamFailure): void;
  /** The connection can take more of the body. */
  onRequestDrained(): void;
  /** Whether the response's receiver takes no more for now. */
  readonly responseCongested: boolean;
}
