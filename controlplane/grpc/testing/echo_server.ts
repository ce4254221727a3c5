/** A gRPC server that echoes, with mutual TLS, and clients for it in every manner. */
import { connect, type TLSSocket } from "node:tls";
import { Authority } from "../../../ca/authority/authority.ts";
import type { ClientIdentity } from "../../testing/ads_client.ts";
import { TestMesh } from "../../testing/test_mesh.ts";
import type { CallHandler, GrpcCall } from "../grpc_call.ts";
import { type GrpcServer, startGrpcServer } from "../grpc_server.ts";
import { encodeHeaders } from "../http2/header_blocks.ts";
import type { Header } from "../http2/header_blocks.ts";
import { unary } from "../unary.ts";

export interface Echo {
  server: GrpcServer;
  identity: ClientIdentity;
  /** Streaming calls that are under way. */
  calls: Set<GrpcCall>;
  /** Calls a method with one message, by fetch. @returns status of gRPC, if it came in the head, and the message */
  call(client: Deno.HttpClient, path: string, message: Uint8Array, signal?: AbortSignal): Promise<Answer>;
  /** A client on one connection, as agents use it. */
  client(): Deno.HttpClient;
  /** A connection for frames written by hand, after preface and SETTINGS. */
  raw(): Promise<RawConnection>;
}

export interface Answer {
  status: string | null;
  message: Uint8Array | null;
}

/** Runs a test with a server of `/test.Echo/Unary` and `/test.Echo/Stream`. */
export function check(
  sentence: string,
  run: (echo: Echo) => Promise<void>,
  keepalive = { interval: 10_000, timeout: 5_000 },
): void {
  Deno.test(sentence, () =>
    TestMesh.with(async (mesh) => {
      const authority = await Authority.open({ dataDir: mesh.dataDir, trustDomain: "cluster.local" });
      const { chain, privateKey } = await authority.issueServerCertificate(["127.0.0.1", "localhost"], 3_600_000);
      const calls = new Set<GrpcCall>();
      const stream = (call: GrpcCall): CallHandler => {
        calls.add(call);
        return {
          message: (bytes) => call.send(bytes),
          end: () => call.end(),
          closed: () => calls.delete(call),
        };
      };
      const server = await startGrpcServer({
        listen: { host: "127.0.0.1", port: 0 },
        identity: { chain: chain.join(""), privateKey, trustBundle: authority.trustBundle() },
        methods: [
          unary({ path: "/test.Echo/Unary", requestLimit: 1024, answer: (request) => Promise.resolve(request) }),
          { path: "/test.Echo/Stream", requestLimit: 8 * 1024 * 1024, open: stream },
        ],
        keepalive,
        drainTime: 0,
      });
      const identity = await mesh.identity();
      const sockets: TLSSocket[] = [];
      try {
        await run({
          server,
          identity,
          calls,
          call: (client, path, message, signal) =>
            call(`https://127.0.0.1:${server.port}${path}`, client, message, signal),
          client: () =>
            Deno.createHttpClient({
              caCerts: [identity.trustBundle],
              cert: identity.chain,
              key: identity.privateKey,
              http2: true,
              http1: false,
            }),
          async raw() {
            const raw = await RawConnection.open(server.port, identity);
            sockets.push(raw.socket);
            return raw;
          },
        });
      } finally {
        sockets.forEach((socket) => socket.destroy());
        await server.shutdown();
      }
    }));
}

async function call(
  url: string,
  client: Deno.HttpClient,
  message: Uint8Array,
  signal?: AbortSignal,
): Promise<Answer> {
  const response = await fetch(url, {
    method: "POST",
    client,
    headers: { "content-type": "application/grpc", te: "trailers" },
    body: framed(message),
    signal,
  });
  const bytes = new Uint8Array(await response.arrayBuffer());
  return { status: response.headers.get("grpc-status"), message: bytes.length === 0 ? null : bytes.subarray(5) };
}

/** A message with gRPC's five bytes before it. */
export function framed(message: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(5 + message.length);
  new DataView(bytes.buffer).setUint32(1, message.length);
  bytes.set(message, 5);
  return bytes;
}

/** A connection on which a test writes frames by hand. */
export class RawConnection {
  /** What the server has sent. */
  readonly frames: { type: number; flags: number; stream: number; payload: Uint8Array }[] = [];
  closed = false;
  #rest = new Uint8Array(0);

  private constructor(readonly socket: TLSSocket) {
    socket.on("data", (bytes: Uint8Array) => this.#take(bytes));
    socket.on("close", () => this.closed = true);
    socket.on("error", () => {});
  }

  /** Connects and says what an HTTP/2 client says first. */
  static async open(port: number, identity: ClientIdentity, greeting = true): Promise<RawConnection> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const socket = connect({
      port,
      host: "127.0.0.1",
      servername: "localhost",
      ca: identity.trustBundle,
      cert: identity.chain,
      key: identity.privateKey,
      ALPNProtocols: ["h2"],
    }, resolve);
    socket.once("error", reject);
    await promise;
    const raw = new RawConnection(socket);
    if (greeting) {
      socket.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
      raw.send(4, 0, 0);
    }
    return raw;
  }

  send(type: number, flags: number, stream: number, payload = new Uint8Array(0), length = payload.length): void {
    const header = new Uint8Array(9);
    const view = new DataView(header.buffer);
    view.setUint32(0, length << 8 | type);
    header[4] = flags;
    view.setUint32(5, stream);
    this.socket.write(header);
    if (payload.length > 0) this.socket.write(payload);
  }

  /** HEADERS of a call, END_HEADERS set. */
  request(stream: number, path: string, { end = false, more = [] as Header[] } = {}): void {
    const headers: Header[] = [
      [":method", "POST"],
      [":scheme", "https"],
      [":path", path],
      [":authority", "localhost"],
      ["content-type", "application/grpc"],
      ["te", "trailers"],
      ...more,
    ];
    this.send(1, 4 | (end ? 1 : 0), stream, encodeHeaders(headers));
  }

  /** Error code of the GOAWAY that has come; `null`: none. */
  get goneWith(): number | null {
    const goAway = this.frames.find(({ type }) => type === 7);
    return goAway === undefined ? null : new DataView(goAway.payload.buffer, goAway.payload.byteOffset).getUint32(4);
  }

  /** Error code of the RST_STREAM of a stream; `null`: none has come. */
  resetWith(stream: number): number | null {
    const reset = this.frames.find((frame) => frame.type === 3 && frame.stream === stream);
    return reset === undefined ? null : new DataView(reset.payload.buffer, reset.payload.byteOffset).getUint32(0);
  }

  #take(bytes: Uint8Array): void {
    let all = new Uint8Array(this.#rest.length + bytes.length);
    all.set(this.#rest);
    all.set(bytes, this.#rest.length);
    while (all.length >= 9) {
      const length = all[0] << 16 | all[1] << 8 | all[2];
      if (all.length < 9 + length) break;
      const stream = new DataView(all.buffer, all.byteOffset).getUint32(5);
      this.frames.push({ type: all[3], flags: all[4], stream, payload: all.slice(9, 9 + length) });
      all = all.slice(9 + length);
    }
    this.#rest = all;
  }
}
