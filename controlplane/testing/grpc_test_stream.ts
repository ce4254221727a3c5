/**
 * The client's side of one streaming gRPC call on a connection of its own, for tests. Not `fetch`, which does not show
 * the status that stands in trailers, nor `node:http2`, which may abort the process (denoland/deno #36788).
 */
import { connect, type TLSSocket } from "node:tls";
import { frameMessage, MessageReader } from "../grpc/messages.ts";
import { Status } from "../grpc/status.ts";
import { Flag, frame, FrameReader, FrameType, preface, settingsPayload, uint32s } from "../grpc/http2/frames.ts";
import { encodeHeaders, HeaderDecoder } from "../grpc/http2/header_blocks.ts";
import type { ClientIdentity } from "./ads_client.ts";

export interface CallStatus {
  code: number;
  details: string;
}

export interface CallEvents {
  message(bytes: Uint8Array): void;
  /** The call has ended: with the server's status, or UNAVAILABLE when the connection has gone. Called once. */
  ended(status: CallStatus): void;
}

const stream = 1;
const largestWindow = 2 ** 31 - 1;
const initialWindowSize = 4;

export class GrpcTestStream {
  readonly #socket: TLSSocket;
  readonly #events: CallEvents;
  readonly #frames = new FrameReader({ preface: false });
  readonly #headers = new HeaderDecoder();
  readonly #messages = new MessageReader(256 * 1024 * 1024);
  #ended = false;

  constructor(port: number, { chain, privateKey, trustBundle }: ClientIdentity, path: string, events: CallEvents) {
    this.#events = events;
    this.#socket = connect({
      port,
      host: "127.0.0.1",
      servername: "localhost",
      ca: trustBundle,
      cert: chain,
      key: privateKey,
      ALPNProtocols: ["h2"],
    });
    this.#socket.on("data", (bytes: Uint8Array) => this.#receive(bytes));
    this.#socket.on("error", (error: Error) => this.#end({ code: Status.unavailable, details: error.message }));
    this.#socket.on("close", () => this.#end({ code: Status.unavailable, details: "the connection has closed" }));
    this.#socket.write(preface);
    this.#send(FrameType.settings, 0, 0, settingsPayload([[initialWindowSize, largestWindow]]));
    this.#send(FrameType.windowUpdate, 0, 0, uint32s(largestWindow - 65_535));
    const head = encodeHeaders([
      [":method", "POST"],
      [":scheme", "https"],
      [":path", path],
      [":authority", "localhost"],
      ["content-type", "application/grpc"],
      ["te", "trailers"],
    ]);
    this.#send(FrameType.headers, Flag.endHeaders, stream, head);
  }

  write(message: Uint8Array): void {
    const bytes = frameMessage(message);
    for (let at = 0; at < bytes.length; at += 16_384) {
      this.#send(FrameType.data, 0, stream, bytes.subarray(at, at + 16_384));
    }
  }

  /** Ends the connection, in whatever state it is. */
  close(): void {
    this.#socket.destroy();
  }

  #receive(bytes: Uint8Array): void {
    for (const { type, flags, payload } of this.#frames.push(bytes)) {
      if (type === FrameType.data) {
        for (const message of this.#messages.push(payload)) this.#events.message(message);
      } else if (type === FrameType.headers) {
        const fields = new Map(this.#headers.decode(payload));
        const details = decodeURIComponent(fields.get("grpc-message") ?? "");
        if (flags & Flag.endStream) this.#end({ code: Number(fields.get("grpc-status")), details });
      } else if (type === FrameType.ping && !(flags & Flag.ack)) this.#send(FrameType.ping, Flag.ack, 0, payload);
      else if (type === FrameType.settings && !(flags & Flag.ack)) this.#send(FrameType.settings, Flag.ack, 0);
    }
  }

  #send(type: number, flags: number, id: number, payload: Uint8Array = new Uint8Array(0)): void {
    if (this.#socket.writable) this.#socket.write(frame(type, flags, id, payload));
  }

  #end(status: CallStatus): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#socket.end();
    this.#events.ended(status);
  }
}
