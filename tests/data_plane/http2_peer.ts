/** One end of an HTTP/2 connection made of frames that a test writes: well-behaved by default, hostile where asked. */
import { HpackDecoder } from "../../agent/decode/hpack/hpack_decoder.ts";
import { ErrorCode, FrameFlag, FrameType, preface, Setting } from "../../agent/decode/http2/protocol.ts";
import { decodeBlock, type Field, fieldsOf } from "../conformance/hpack/header_lists.ts";
import { until } from "./raw_sockets.ts";

export interface Frame {
  type: number;
  flags: number;
  stream: number;
  payload: Uint8Array<ArrayBuffer>;
}

/** A frame as bytes. */
export function frame(type: number, flags: number, stream: number, payload: Uint8Array = new Uint8Array(0)) {
  const bytes = new Uint8Array(9 + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, payload.length << 8);
  bytes[3] = type;
  bytes[4] = flags;
  view.setUint32(5, stream);
  bytes.set(payload, 9);
  return bytes;
}

/** Numbers of 32 bits in network order. */
export function words(...values: number[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(values.length * 4);
  values.forEach((value, i) => new DataView(bytes.buffer).setUint32(i * 4, value >>> 0));
  return bytes;
}

export function settings(...pairs: number[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(pairs.length * 3);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < pairs.length; i += 2) {
    view.setUint16(i * 3, pairs[i]);
    view.setUint32(i * 3 + 2, pairs[i + 1]);
  }
  return frame(FrameType.settings, 0, 0, bytes);
}

export const windowUpdate = (stream: number, size: number) => frame(FrameType.windowUpdate, 0, stream, words(size));
export const resetStream = (stream: number, code: number) => frame(FrameType.resetStream, 0, stream, words(code));
export const goAway = (last: number, code: number = ErrorCode.noError) =>
  frame(FrameType.goAway, 0, 0, words(last, code));

/** A header block of literals that no table keeps, names and values as they are, valid or not. */
export function block(fields: readonly Field[]): Uint8Array<ArrayBuffer> {
  const out: number[] = [];
  const text = (value: string) => {
    if (value.length < 127) out.push(value.length);
    else {
      out.push(127);
      let rest = value.length - 127;
      for (; rest >= 128; rest >>= 7) out.push(rest & 127 | 128);
      out.push(rest);
    }
    for (let i = 0; i < value.length; i++) out.push(value.charCodeAt(i) & 255);
  };
  for (const [name, value] of fields) {
    out.push(0);
    text(name);
    text(value);
  }
  return Uint8Array.from(out);
}

export function headers(stream: number, fields: readonly Field[], endStream: boolean): Uint8Array<ArrayBuffer> {
  const flags = FrameFlag.endHeaders | (endStream ? FrameFlag.endStream : 0);
  return frame(FrameType.headers, flags, stream, block(fields));
}

export const data = (stream: number, payload: Uint8Array | string, endStream: boolean) =>
  frame(
    FrameType.data,
    endStream ? FrameFlag.endStream : 0,
    stream,
    typeof payload === "string" ? new TextEncoder().encode(payload) : payload,
  );

/** A request's fields, with further ones behind. */
export function request(path: string, method = "GET", ...further: Field[]): Field[] {
  return [[":method", method], [":scheme", "http"], [":path", path], [":authority", "a.example"], ...further];
}

/** What has come on a stream so far. */
export class Message {
  /** The first header block that is not an interim response's. */
  fields: Field[] = [];
  trailers: Field[] | null = null;
  /** Statuses of interim responses. */
  readonly interim: string[] = [];
  readonly #parts: Uint8Array[] = [];
  size = 0;
  complete = false;
  /** Code of the peer's RST_STREAM; `null`: none. */
  reset: number | null = null;

  constructor(private readonly peer: Http2Peer, readonly stream: number) {}

  add(part: Uint8Array): void {
    this.#parts.push(part);
    this.size += part.length;
  }

  field(name: string): string | undefined {
    return this.fields.find(([one]) => one === name)?.[1];
  }

  get status(): number {
    return Number(this.field(":status") ?? 0);
  }

  get body(): Uint8Array {
    const all = new Uint8Array(this.size);
    let at = 0;
    for (const part of this.#parts) {
      all.set(part, at);
      at += part.length;
    }
    return all;
  }

  get text(): string {
    return new TextDecoder().decode(this.body);
  }

  get over(): boolean {
    return this.complete || this.reset !== null || this.peer.ended;
  }

  /** Waits until it is whole, reset or cut off with its connection. */
  async end(): Promise<this> {
    await until(() => this.over, () => `the end of stream ${this.stream} (${this.size} bytes so far)`);
    return this;
  }

  /** Waits for the header block. */
  async head(): Promise<this> {
    await until(() => this.fields.length > 0 || this.over, () => `a head on stream ${this.stream}`);
    return this;
  }
}

export interface PeerOptions {
  /** Pairs for the first SETTINGS. */
  settings?: number[];
  /** Whether SETTINGS and PING are acknowledged; true by default. */
  acknowledge?: boolean;
  /** Whether what is received is given back to the windows; true by default. */
  giveBack?: boolean;
  /** Whether anything is read at all; true by default. */
  read?: boolean;
  /** Whether it says nothing by itself, not even a preface; false by default. */
  silent?: boolean;
}

export class Http2Peer implements Disposable {
  readonly frames: Frame[] = [];
  readonly messages = new Map<number, Message>();
  /** The connection's end has come. */
  ended = false;
  /** Called for each stream that the other side has opened, when its head is there. */
  onStream: (message: Message) => void = () => {};
  /** Code of the last GOAWAY; `null`: none. */
  goneAway: number | null = null;
  readonly options: Required<PeerOptions>;
  readonly #decoder = new HpackDecoder();
  #sending: Promise<void> = Promise.resolve();
  #sendWindow = 65535;
  #initialWindow = 65535;
  readonly #windows = new Map<number, number>();
  #nextStream: number;
  #block: { stream: number; endStream: boolean; parts: number[] } | null = null;
  #closed = false;

  constructor(readonly connection: Deno.TcpConn, private readonly isClient: boolean, options: PeerOptions = {}) {
    this.options = { settings: [], acknowledge: true, giveBack: true, read: true, silent: false, ...options };
    this.#nextStream = isClient ? 1 : 2;
    if (isClient && !this.options.silent) void this.send(preface);
    if (!this.options.silent) void this.send(settings(...this.options.settings));
    if (this.options.read) void this.#read();
  }

  static async connect(port: number, options: PeerOptions = {}): Promise<Http2Peer> {
    return new Http2Peer(await Deno.connect({ hostname: "127.0.0.1", port }), true, options);
  }

  /** Sends bytes, behind all that is being sent; a connection that has ended takes them in silence. */
  async send(...parts: Uint8Array[]): Promise<void> {
    for (const part of parts) this.#sending = this.#sending.then(() => this.#write(part)).catch(() => {});
    await this.#sending;
  }

  async #write(bytes: Uint8Array): Promise<void> {
    for (let sent = 0; sent < bytes.length;) sent += await this.connection.write(bytes.subarray(sent));
  }

  newStream(): number {
    this.#nextStream += 2;
    return this.#nextStream - 2;
  }

  /** Opens a stream with a request; its answer gathers in the message. */
  async open(fields: readonly Field[], endStream = true): Promise<Message> {
    const stream = this.newStream();
    const message = this.message(stream);
    await this.send(headers(stream, fields, endStream));
    return message;
  }

  /** A request and its whole answer. */
  async exchange(fields: readonly Field[], body?: Uint8Array): Promise<Message> {
    const message = await this.open(fields, body === undefined);
    if (body !== undefined) await this.sendBody(message.stream, body);
    return await message.end();
  }

  message(stream: number): Message {
    let message = this.messages.get(stream);
    if (message === undefined) this.messages.set(stream, message = new Message(this, stream));
    return message;
  }

  /** Sends as the windows allow; gives up when the stream or the connection is over. */
  async sendBody(stream: number, bytes: Uint8Array, endStream = true): Promise<void> {
    const message = this.message(stream);
    const window = () => Math.min(this.#sendWindow, this.#windows.get(stream) ?? this.#initialWindow);
    const gone = () => message.reset !== null || this.ended;
    let sent = 0;
    do {
      if (sent < bytes.length) await until(() => window() > 0 || gone(), `a window for stream ${stream}`);
      if (gone()) return;
      const size = Math.min(16384, bytes.length - sent, Math.max(window(), 0));
      this.#sendWindow -= size;
      this.#windows.set(stream, (this.#windows.get(stream) ?? this.#initialWindow) - size);
      await this.send(data(stream, bytes.subarray(sent, sent + size), endStream && sent + size === bytes.length));
      sent += size;
    } while (sent < bytes.length);
  }

  async #read(): Promise<void> {
    const buffer = new Uint8Array(65536);
    let input = new Uint8Array(0);
    let toSkip = this.isClient ? 0 : preface.length;
    try {
      for (;;) {
        const count = await this.connection.read(buffer);
        if (count === null) break;
        const joined = new Uint8Array(input.length + count);
        joined.set(input);
        joined.set(buffer.subarray(0, count), input.length);
        let at = Math.min(toSkip, joined.length);
        toSkip -= at;
        while (joined.length - at >= 9) {
          const size = joined[at] << 16 | joined[at + 1] << 8 | joined[at + 2];
          if (joined.length - at < 9 + size) break;
          const stream = new DataView(joined.buffer).getUint32(at + 5) & 0x7fffffff;
          const payload = joined.slice(at + 9, at + 9 + size);
          this.#onFrame({ type: joined[at + 3], flags: joined[at + 4], stream, payload });
          at += 9 + size;
        }
        input = joined.subarray(at);
      }
    } catch {
      // A reset ends a connection as well.
    }
    this.ended = true;
  }

  #onFrame(received: Frame): void {
    const { type, flags, stream, payload } = received;
    const view = new DataView(payload.buffer);
    const endStream = (flags & FrameFlag.endStream) !== 0;
    this.frames.push(received);
    switch (type) {
      case FrameType.settings:
        if ((flags & FrameFlag.ack) === 0) this.#onSettings(view);
        break;
      case FrameType.ping:
        if ((flags & FrameFlag.ack) === 0 && this.options.acknowledge) void this.send(frame(type, 1, 0, payload));
        break;
      case FrameType.windowUpdate:
        if (stream === 0) this.#sendWindow += view.getUint32(0);
        else this.#windows.set(stream, (this.#windows.get(stream) ?? this.#initialWindow) + view.getUint32(0));
        break;
      case FrameType.goAway:
        this.goneAway = view.getUint32(4);
        break;
      case FrameType.resetStream:
        this.message(stream).reset = view.getUint32(0);
        break;
      case FrameType.data: {
        const message = this.message(stream);
        message.add(payload);
        if (endStream) message.complete = true;
        if (this.options.giveBack && payload.length > 0) {
          void this.send(windowUpdate(0, payload.length));
          if (!endStream) void this.send(windowUpdate(stream, payload.length));
        }
        break;
      }
      case FrameType.headers:
        this.#block = { stream, endStream, parts: [] };
        this.#onBlock(flags, payload);
        break;
      case FrameType.continuation:
        this.#onBlock(flags, payload);
    }
  }

  #onSettings(view: DataView): void {
    for (let i = 0; i < view.byteLength; i += 6) {
      if (view.getUint16(i) !== Setting.initialWindowSize) continue;
      const change = view.getUint32(i + 2) - this.#initialWindow;
      this.#initialWindow += change;
      for (const [stream, window] of this.#windows) this.#windows.set(stream, window + change);
    }
    if (this.options.acknowledge) void this.send(frame(FrameType.settings, FrameFlag.ack, 0));
  }

  #onBlock(flags: number, payload: Uint8Array): void {
    const { stream, endStream, parts } = this.#block!;
    for (const byte of payload) parts.push(byte);
    if ((flags & FrameFlag.endHeaders) === 0) return;
    const { code, sink } = decodeBlock(this.#decoder, Uint8Array.from(parts));
    const fields: Field[] = code === 0 ? fieldsOf(sink) : [["(undecodable)", String(code)]];
    const message = this.message(stream);
    const status = fields.find(([name]) => name === ":status")?.[1] ?? "";
    if (/^1/.test(status)) message.interim.push(status);
    else if (message.fields.length > 0) message.trailers = fields;
    else message.fields = fields;
    if (endStream) message.complete = true;
    if (message.trailers === null && message.interim.length === 0 && !this.isClient) this.onStream(message);
  }

  /** How many frames of a type have come. */
  count(type: number): number {
    return this.frames.filter((one) => one.type === type).length;
  }

  /** Waits for the end of the connection; the code of its GOAWAY. */
  async end(): Promise<number | null> {
    await until(() => this.ended, () => `the end of the connection; GOAWAY: ${this.goneAway}`);
    return this.goneAway;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.connection.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** An HTTP/2 server (prior knowledge) whose streams a test answers by hand. */
export class Http2Backend implements Disposable {
  readonly port: number;
  readonly peers: Http2Peer[] = [];
  requests = 0;
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });

  /** @param serve called for each request when its head has come. */
  constructor(
    private readonly serve: (message: Message, peer: Http2Peer) => Promise<void> | void = () => {},
    private readonly options: PeerOptions = {},
  ) {
    this.port = (this.#listener.addr as Deno.NetAddr).port;
    void this.#accept();
  }

  async #accept(): Promise<void> {
    try {
      for (;;) {
        const peer = new Http2Peer(await this.#listener.accept(), false, this.options);
        this.peers.push(peer);
        peer.onStream = (message) => {
          this.requests++;
          void this.serve(message, peer);
        };
      }
    } catch {
      // Closed.
    }
  }

  [Symbol.dispose](): void {
    this.#listener.close();
    for (const peer of this.peers) peer.close();
  }
}

/** Answers a request with a status and a body, as the windows allow. */
export async function answer(message: Message, peer: Http2Peer, status = 200, body: Uint8Array | string = "ok") {
  const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body;
  await peer.send(headers(message.stream, [[":status", String(status)]], bytes.length === 0));
  if (bytes.length > 0) await peer.sendBody(message.stream, bytes);
}
