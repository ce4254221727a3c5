/** The gRPC server of the xDS port: mutual TLS, with certificates that can be replaced while it runs. */
import { Buffer } from "node:buffer";
import {
  logVerbosity,
  Server,
  ServerCredentials,
  type ServiceDefinition,
  setLogVerbosity,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import type { ServerCertificate } from "../../ca/authority/authority.ts";
import { logger } from "../../log/log.ts";

export interface XdsServerOptions {
  listen: { host: string; port: number };
  certificate: ServerCertificate;
  /** PEM of what client certificates are verified against. */
  trustBundle: string;
  services: { definition: ServiceDefinition; implementation: UntypedServiceImplementation }[];
  /** Milliseconds between two pings, and for the answer; 10 s and 5 s by default. */
  keepalive?: { interval: number; timeout: number };
  /** Milliseconds for calls to end by themselves; 5 s by default. */
  drainTime?: number;
}

export interface XdsServer {
  readonly port: number;
  /**
   * Serves new connections with another certificate. The port is closed and opened again; for that moment new
   * connections are refused, and clients try again. Streams that are up go on.
   */
  replaceCertificate(certificate: ServerCertificate): Promise<void>;
  /** Ends once all calls have, or after a few seconds. */
  shutdown(): Promise<void>;
}

const log = logger("push");
// What the library would write to stderr by itself comes back as errors too.
setLogVerbosity(logVerbosity.NONE);
/** Milliseconds: an agent that is gone without a word is noticed after both. */
const defaultKeepalive = { interval: 10_000, timeout: 5_000 };
const defaultDrainTime = 5_000;

/** @throws {Error} when the address cannot be listened on */
export async function startXdsServer(options: XdsServerOptions): Promise<XdsServer> {
  const { listen: { host }, drainTime = defaultDrainTime } = options;
  let current = makeServer(options);
  const port = await bind(current, options.listen, credentialsOf(options, options.certificate));
  /** Servers of earlier certificates: their streams go on until they end by themselves. */
  const retired: Server[] = [];
  let ending: Promise<unknown> | null = null;
  return {
    port,
    async replaceCertificate(certificate) {
      const old = current;
      old.unbind(addressOf({ host, port }));
      current = makeServer(options);
      await bindAgain(current, { host, port }, credentialsOf(options, certificate));
      retired.push(old);
    },
    async shutdown() {
      ending ??= Promise.all([current, ...retired].map((server) => end(server, drainTime)));
      await ending;
    },
  };
}

function makeServer({ services, keepalive = defaultKeepalive }: XdsServerOptions): Server {
  const server = new Server({
    "grpc.keepalive_time_ms": keepalive.interval,
    "grpc.keepalive_timeout_ms": keepalive.timeout,
    "grpc.enable_channelz": 0,
  });
  for (const { definition, implementation } of services) server.addService(definition, implementation);
  return server;
}

function credentialsOf({ trustBundle }: XdsServerOptions, { chain, privateKey }: ServerCertificate): ServerCredentials {
  return ServerCredentials.createSsl(
    Buffer.from(trustBundle),
    [{ cert_chain: Buffer.from(chain.join("")), private_key: Buffer.from(privateKey) }],
    true,
  );
}

function bind(
  server: Server,
  listen: { host: string; port: number },
  credentials: ServerCredentials,
): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(addressOf(listen), credentials, (error, port) => error === null ? resolve(port) : reject(error));
  });
}

/** The old listener's socket closes on a later turn of the event loop. */
async function bindAgain(
  server: Server,
  listen: { host: string; port: number },
  credentials: ServerCredentials,
): Promise<void> {
  for (let attempt = 0;; attempt++) {
    try {
      await bind(server, listen, credentials);
      return;
    } catch (error) {
      if (attempt === 100) throw error;
      if (attempt === 0) log.debug("waiting for the xDS port to be free");
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

async function end(server: Server, drainTime: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(() => {
    server.forceShutdown();
    resolve();
  }, drainTime);
  server.tryShutdown(() => resolve());
  await promise;
  clearTimeout(timer);
}

function addressOf({ host, port }: { host: string; port: number }): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}
