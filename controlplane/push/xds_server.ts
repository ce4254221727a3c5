/** The gRPC server of the xDS port: mutual TLS, with certificates that can be replaced while it runs. */
import { Buffer } from "node:buffer";
import { Server, ServerCredentials, type ServiceDefinition, type UntypedServiceImplementation } from "@grpc/grpc-js";
import type { ServerCertificate } from "../../ca/authority/authority.ts";
import { logger } from "../../log/log.ts";

export interface XdsServerOptions {
  listen: { host: string; port: number };
  certificate: ServerCertificate;
  /** PEM of what client certificates are verified against. */
  trustBundle: string;
  services: { definition: ServiceDefinition; implementation: UntypedServiceImplementation }[];
  keepalive?: { interval: number; timeout: number };
}

export interface XdsServer {
  readonly port: number;
  /**
   * Serves new connections with another certificate. The port is closed and opened again; for that moment new
   * connections are refused, and clients try again. Connections that are up are asked to move over.
   */
  replaceCertificate(certificate: ServerCertificate): Promise<void>;
  /** Ends once all calls have, or after a few seconds. */
  shutdown(): Promise<void>;
}

const log = logger("push");
/** Milliseconds: an agent that is gone without a word is noticed after both. */
const defaultKeepalive = { interval: 10_000, timeout: 5_000 };
/** Milliseconds for calls to end by themselves. */
const drainTime = 5_000;

/** @throws {Error} when the address cannot be listened on */
export async function startXdsServer(options: XdsServerOptions): Promise<XdsServer> {
  const { host } = options.listen;
  let current = makeServer(options);
  const port = await bind(current, options.listen, credentialsOf(options, options.certificate));
  const retired = new Set<Promise<void>>();
  return {
    port,
    async replaceCertificate(certificate) {
      const old = current;
      old.unbind(addressOf({ host, port }));
      current = makeServer(options);
      await bindAgain(current, { host, port }, credentialsOf(options, certificate));
      const ended = end(old).finally(() => retired.delete(ended));
      retired.add(ended);
    },
    async shutdown() {
      await Promise.all([end(current), ...retired]);
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

async function end(server: Server): Promise<void> {
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
