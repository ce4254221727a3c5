/** One stream of a connection, as those see it who answer requests (RFC 9113 §5). */
import type { Header } from "./header_blocks.ts";

/** What a stream asks of its connection. */
export interface StreamCarrier {
  /** Sends the stream's HEADERS at once. */
  sendHeaders(stream: Http2Stream, headers: Header[], end: boolean): void;
  /** Sends what is queued, as far as the windows allow. */
  flush(stream: Http2Stream): void;
  reset(stream: Http2Stream, code: number): void;
}

/** What comes in on a stream. */
export interface StreamEvents {
  data(bytes: Uint8Array): void;
  /** The client has sent all. */
  end(): void;
  /** Nothing more comes or goes: the stream is done, was reset, or its connection is gone. Called once. */
  closed(): void;
}

const noEvents: StreamEvents = { data() {}, end() {}, closed() {} };

export class Http2Stream {
  events: StreamEvents = noEvents;
  /** The client has sent its last frame. */
  remoteEnded = false;
  /** We have sent our last frame, or the stream was reset. */
  localEnded = false;
  /** What is still to be sent, in order. */
  readonly queue: Uint8Array[] = [];
  /** Headers that end the stream once the queue is empty. */
  trailers: Header[] | null = null;
  readonly #carrier: StreamCarrier;

  /** @param sendWindow bytes that the client takes; @param receiveWindow bytes that we take */
  constructor(readonly id: number, carrier: StreamCarrier, public sendWindow: number, public receiveWindow: number) {
    this.#carrier = carrier;
  }

  /** Sends the head of the answer; with `end` it is all of it. */
  respond(headers: Header[], end: boolean): void {
    if (!this.localEnded) this.#carrier.sendHeaders(this, headers, end);
  }

  /** Queues pieces behind those that wait for the client to make room. They are not copied: nobody may change them. */
  write(...pieces: Uint8Array[]): void {
    if (this.localEnded || this.trailers !== null) return;
    for (const piece of pieces) if (piece.length > 0) this.queue.push(piece);
    this.#carrier.flush(this);
  }

  /** Ends the answer after what is queued. */
  finish(trailers: Header[]): void {
    if (this.localEnded || this.trailers !== null) return;
    this.trailers = trailers;
    this.#carrier.flush(this);
  }

  /** Ends the stream in both directions; safe to call again. */
  reset(code: number): void {
    if (!this.localEnded) this.#carrier.reset(this, code);
  }
}
