/** The join port: HTTPS by `Deno.serve`. */
import type { Hono } from "hono";
import { logger } from "../../log/log.ts";
import type { JoinBindings } from "./join_app.ts";

export interface JoinServerOptions {
  /** An IP address, and a port; 0 takes a free one. */
  listen: { host: string; port: number };
  /** PEM chain, the leaf first. */
  certificate: string;
  /** PKCS#8 in PEM. */
  key: string;
  app: Hono<{ Bindings: JoinBindings }>;
}

export interface JoinServer {
  readonly address: string;
  readonly port: number;
  /**
   * Serves new connections with another certificate. `Deno.serve` keeps the one it started with, so the port is closed
   * and opened again: calls in progress are finished by the old listener; for the moment between the two, a new
   * connection is refused, and agents try again.
   */
  replaceCertificate(certificate: string, key: string): Promise<void>;
  /** Stops listening, and resolves when the calls in progress have been answered. */
  shutdown(): Promise<void>;
}

const log = logger("join");
/** Milliseconds after which calls in progress are cut off. */
const drainDeadline = 15_000;

/** @throws {Deno.errors.AddrInUse} and what else keeps a port from being listened on */
export function startJoinServer(options: JoinServerOptions): JoinServer {
  const { app, listen } = options;
  let current = serve(app, listen, options.certificate, options.key);
  const { hostname: address, port } = current.server.addr;
  let closed = false;
  const draining = new Set<Promise<void>>();

  const retire = (listener: Listener) => {
    const drained = drain(listener).finally(() => draining.delete(drained));
    draining.add(drained);
  };
  return {
    address,
    port,
    async replaceCertificate(certificate, key) {
      if (closed) return;
      retire(current);
      current = await listenAgain(() => serve(app, { host: listen.host, port }, certificate, key));
      if (closed) retire(current);
    },
    async shutdown() {
      closed = true;
      retire(current);
      await Promise.all(draining);
    },
  };
}

interface Listener {
  server: Deno.HttpServer<Deno.NetAddr>;
  abort: AbortController;
}

function serve(
  app: Hono<{ Bindings: JoinBindings }>,
  { host, port }: { host: string; port: number },
  cert: string,
  key: string,
): Listener {
  const abort = new AbortController();
  const server = Deno.serve(
    { hostname: host, port, cert, key, signal: abort.signal, onListen: () => {} },
    (request, info) => app.fetch(request, { remoteAddr: info.remoteAddr }),
  );
  return { server, abort };
}

async function drain({ server, abort }: Listener): Promise<void> {
  const timer = setTimeout(() => abort.abort(), drainDeadline);
  await server.shutdown();
  clearTimeout(timer);
}

/** The old socket closes on a later turn of the event loop. */
async function listenAgain(listen: () => Listener): Promise<Listener> {
  for (let attempt = 0;; attempt++) {
    try {
      return listen();
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse) || attempt === 100) throw error;
      if (attempt === 0) log.debug("waiting for the join port to be free");
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}
