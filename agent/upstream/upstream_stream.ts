/** What carries one request to an upstream host: an HTTP/1.1 connection, or a stream of an HTTP/2 connection. */
import type { Fields } from "../decode/head.ts";
import type { MetricScope } from "../record/request_metrics.ts";
import type { UpstreamChannel } from "./connector.ts";

/** What all requests over one connection have in common. */
export interface UpstreamLink {
  readonly channel: UpstreamChannel;
  /** Metrics of requests between these two ends; made by the first of them. */
  scope: MetricScope | null;
}

export interface UpstreamStream {
  readonly link: UpstreamLink;
  /** Sends a piece of the request's body. */
  sendData(bytes: Uint8Array, offset: number, size: number): void;
  /** Sends the request's trailers, where the protocol has a place for them; {@link sendEnd} follows. */
  sendTrailers(fields: Fields): void;
  /** The request's body is over. */
  sendEnd(): void;
  /** Whether what was sent has piled up. */
  readonly congested: boolean;
  /** The receiver of the response takes data again. */
  resumeResponse(): void;
  /** Gives up the request; its {@link UpstreamRequest} hears nothing more. */
  cancel(): void;
}
