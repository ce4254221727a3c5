/** The gRPC server of the xDS port: mutual TLS, with certificates that can be replaced while it runs. */
import type { ServerCertificate } from "../../ca/authority/authority.ts";
import type { Method } from "../grpc/grpc_call.ts";
import { startGrpcServer } from "../grpc/grpc_server.ts";

export interface XdsServerOptions {
  listen: { host: string; port: number };
  certificate: ServerCertificate;
  /** PEM of what client certificates are verified against. */
  trustBundle: string;
  methods: Method[];
  /** Milliseconds between two pings, and for the answer; 10 s and 5 s by default. */
  keepalive?: { interval: number; timeout: number };
  /** Milliseconds for calls to end by themselves; 5 s by default. */
  drainTime?: number;
}

export interface XdsServer {
  readonly port: number;
  /** Serves new connections with another certificate. Streams that are up go on. */
  replaceCertificate(certificate: ServerCertificate): void;
  /** Ends once all calls have, or after a few seconds. */
  shutdown(): Promise<void>;
}

/** Milliseconds: an agent that is gone without a word is noticed after both. */
const defaultKeepalive = { interval: 10_000, timeout: 5_000 };
const defaultDrainTime = 5_000;

/** @throws {Error} when the address cannot be listened on */
export async function startXdsServer(options: XdsServerOptions): Promise<XdsServer> {
  const { listen, methods, keepalive = defaultKeepalive, drainTime = defaultDrainTime } = options;
  const identityOf = ({ chain, privateKey }: ServerCertificate) => ({
    chain: chain.join(""),
    privateKey,
    trustBundle: options.trustBundle,
  });
  const server = await startGrpcServer({
    listen,
    identity: identityOf(options.certificate),
    methods,
    keepalive,
    drainTime,
  });
  return {
    port: server.port,
    replaceCertificate: (certificate) => server.replaceIdentity(identityOf(certificate)),
    shutdown: () => server.shutdown(),
  };
}
