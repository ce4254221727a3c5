/** One gRPC call on one stream of HTTP/2 (gRPC over HTTP/2): messages in and out, and the status that ends it. */
import { logger } from "../../log/log.ts";
import { ErrorCode } from "./http2/frames.ts";
import type { Header } from "./http2/header_blocks.ts";
import type { Http2Stream } from "./http2/stream.ts";
import { messageHeader, MessageReader } from "./messages.ts";
import { GrpcError, Status } from "./status.ts";

/** Who calls, as far as the connection proves it. */
export interface Caller {
  /** `address:port`. */
  remote: string;
  /** DER of the client certificate that the handshake has verified. */
  certificate: Uint8Array;
}

/** What a method does with one call. */
export interface CallHandler {
  /** What this throws ends the call: a {@link GrpcError} with its status, anything else with INTERNAL. */
  message(bytes: Uint8Array): void;
  /** The caller has sent all. */
  end(): void;
  /** The call is over, in whatever way. Called once. */
  closed(): void;
}

export interface Method {
  /** `/package.Service/Method`. */
  path: string;
  /** Bytes of the largest message that is taken. */
  requestLimit: number;
  /** Serves one call. What this throws ends the call, as in {@link CallHandler.message}. */
  open(call: GrpcCall): CallHandler;
}

const log = logger("grpc");
const head: Header[] = [[":status", "200"], ["content-type", "application/grpc"]];
const longestDetails = 4_000;

export class GrpcCall {
  readonly caller: Caller;
  readonly #path: string;
  readonly #stream: Http2Stream;
  readonly #reader: MessageReader;
  #handler: CallHandler | null = null;
  #answering = false;
  #ended = false;

  private constructor(stream: Http2Stream, method: Method, caller: Caller) {
    this.#stream = stream;
    this.#path = method.path;
    this.caller = caller;
    this.#reader = new MessageReader(method.requestLimit);
  }

  /** Has `method` serve what comes on `stream`. */
  static serve(stream: Http2Stream, method: Method, caller: Caller): void {
    const call = new GrpcCall(stream, method, caller);
    stream.events = {
      data: (bytes) => call.#guard(() => call.#data(bytes)),
      end: () => call.#guard(() => call.#halfClosed()),
      closed: () => call.#close(),
    };
    call.#guard(() => call.#open(method));
  }

  /** Queues a message for the caller, given in pieces that are not changed any more. */
  send(...message: Uint8Array[]): void {
    if (this.#ended) return;
    if (!this.#answering) this.#stream.respond(head, false);
    this.#answering = true;
    this.#stream.write(messageHeader(message), ...message);
  }

  /** Ends the call behind the messages that are queued. */
  end(): void {
    this.#end(Status.ok, "");
  }

  /** Ends the call at once, without the messages that are still queued. Logs what is no {@link GrpcError}. */
  fail(error: unknown): void {
    if (this.#ended) return;
    this.#stream.queue.length = 0;
    if (error instanceof GrpcError) return this.#end(error.code, error.details);
    log.error("a call failed", { path: this.#path, reason: error instanceof Error ? error.stack : String(error) });
    this.#end(Status.internal, "the control plane has failed in this call; its log says why");
  }

  #open(method: Method): void {
    const handler = method.open(this);
    this.#handler = handler;
    if (this.#ended) handler.closed();
  }

  #data(bytes: Uint8Array): void {
    for (const message of this.#reader.push(bytes)) {
      if (this.#ended) return;
      this.#handler?.message(message);
    }
  }

  #halfClosed(): void {
    if (this.#ended) return;
    if (!this.#reader.atBoundary) throw new GrpcError(Status.internal, "the request ends within a message");
    this.#handler?.end();
  }

  #end(status: Status, details: string): void {
    if (this.#ended) return;
    // Before the handler is told: what it does then must not come here again.
    this.#ended = true;
    const trailers = statusHeaders(status, details);
    if (this.#answering) this.#stream.finish(trailers);
    else this.#stream.respond([...head, ...trailers], true);
    this.#handler?.closed();
  }

  /** The stream is gone, because the call has ended or because the caller has. */
  #close(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#handler?.closed();
  }

  #guard(step: () => void): void {
    try {
      step();
    } catch (error) {
      this.fail(error);
    }
  }
}

/** Answers a request that no method takes. */
export function refuse(stream: Http2Stream, httpStatus: number, status: Status, details: string): void {
  const fields: Header[] = [[":status", String(httpStatus)], head[1], ...statusHeaders(status, details)];
  stream.respond(fields, true);
  stream.reset(ErrorCode.noError);
}

/** grpc-message is percent-encoded UTF-8. */
function statusHeaders(status: Status, details: string): Header[] {
  if (details === "") return [["grpc-status", String(status)]];
  return [["grpc-status", String(status)], ["grpc-message", percentEncoded(details.slice(0, longestDetails))]];
}

function percentEncoded(text: string): string {
  let encoded = "";
  for (const byte of new TextEncoder().encode(text)) {
    encoded += byte >= 0x20 && byte <= 0x7e && byte !== 0x25
      ? String.fromCharCode(byte)
      : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return encoded;
}
