/**
 * A gRPC server with mutual TLS, on HTTP/2 of our own over `node:tls`.
 *
 * It is not `@grpc/grpc-js`, nor anything else on the runtime's `node:http2`: that one now and then aborts the whole
 * process inside nghttp2 when a connection ends while the machine is busy (denoland/deno #36788), which no code can
 * catch. Renewals alone, each on a connection of its own, brought a control plane down within minutes.
 */
import { createServer, type Server, type TLSSocket } from "node:tls";
import { type Caller, GrpcCall, type Method, refuse } from "./grpc_call.ts";
import { ServerConnection } from "./http2/connection.ts";
import type { Header } from "./http2/header_blocks.ts";
import type { Http2Stream } from "./http2/stream.ts";
import { Status } from "./status.ts";

/** All in PEM. */
export interface ServerIdentity {
  /** The leaf first. */
  chain: string;
  privateKey: string;
  /** What client certificates are verified against. */
  trustBundle: string;
}

export interface GrpcServerOptions {
  listen: { host: string; port: number };
  identity: ServerIdentity;
  methods: Method[];
  /** Milliseconds between two pings, and for a sign of life after one. */
  keepalive: { interval: number; timeout: number };
  /** Milliseconds for calls to end by themselves when the server shuts down. */
  drainTime: number;
}

export interface GrpcServer {
  readonly port: number;
  /** Serves new connections with another identity; those that are up go on. */
  replaceIdentity(identity: ServerIdentity): void;
  /** Ends once all calls have, or after the drain time. */
  shutdown(): Promise<void>;
}

/** Milliseconds for a TLS handshake. */
const handshakeTimeout = 10_000;

/** @throws {Error} when the address cannot be listened on */
export async function startGrpcServer(options: GrpcServerOptions): Promise<GrpcServer> {
  const { listen, methods, keepalive, drainTime } = options;
  const byPath = new Map(methods.map((method) => [method.path, method]));
  const connections = new Map<TLSSocket, ServerConnection>();
  const server = createServer({
    ...secureContext(options.identity),
    requestCert: true,
    rejectUnauthorized: true,
    ALPNProtocols: ["h2"],
    minVersion: "TLSv1.2",
    handshakeTimeout,
  });
  server.on("secureConnection", (socket: TLSSocket) => {
    const certificate = socket.getPeerCertificate()?.raw;
    if (!socket.authorized || certificate === undefined || socket.alpnProtocol !== "h2") return void socket.destroy();
    socket.setNoDelay(true);
    const caller: Caller = {
      remote: `${socket.remoteAddress}:${socket.remotePort}`,
      certificate: new Uint8Array(certificate),
    };
    const accept = (stream: Http2Stream, headers: Header[]) => dispatch(byPath, stream, headers, caller);
    connections.set(socket, new ServerConnection(socket, { accept, keepalive }));
    socket.on("close", () => connections.delete(socket));
  });
  // A peer that is none of ours, or none at all.
  server.on("tlsClientError", (_error, socket) => socket.destroy());
  const port = await listening(server, listen);
  let ending: Promise<void> | null = null;
  return {
    port,
    replaceIdentity: (identity) => server.setSecureContext(secureContext(identity)),
    shutdown: () => ending ??= shutdown(server, [...connections.values()], drainTime),
  };
}

function dispatch(methods: Map<string, Method>, stream: Http2Stream, headers: Header[], caller: Caller): void {
  const fields = new Map(headers);
  const path = fields.get(":path") ?? "";
  if (fields.get(":method") !== "POST" || !fields.get("content-type")?.startsWith("application/grpc")) {
    return refuse(stream, 415, Status.internal, "this port speaks gRPC: POST with content-type application/grpc");
  }
  const method = methods.get(path);
  if (method === undefined) return refuse(stream, 200, Status.unimplemented, `there is no method ${path}`);
  GrpcCall.serve(stream, method, caller);
}

function secureContext({ chain, privateKey, trustBundle }: ServerIdentity) {
  return { cert: chain, key: privateKey, ca: trustBundle };
}

function listening(server: Server, { host, port }: { host: string; port: number }): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => {
      server.off("error", reject);
      const address = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : port);
    });
  });
}

async function shutdown(server: Server, connections: ServerConnection[], drainTime: number): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  connections.forEach((connection) => connection.drain());
  const timer = setTimeout(() => connections.forEach((connection) => connection.destroy()), drainTime);
  await closed;
  clearTimeout(timer);
}
