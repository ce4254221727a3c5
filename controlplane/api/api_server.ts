/** Serves the REST API by `Deno.serve`. */
import type { Hono } from "hono";
import type { ApiBindings } from "./local_calls.ts";

export interface ApiServer {
  readonly address: string;
  readonly port: number;
  /** Ends once the calls in progress are answered, or after some seconds. */
  shutdown(): Promise<void>;
}

/** Milliseconds for calls in progress. */
const drainTime = 3_000;

/** @throws {Error} when the address cannot be listened on */
export function startApiServer(
  app: Hono<{ Bindings: ApiBindings }>,
  listen: { host: string; port: number },
): ApiServer {
  const abort = new AbortController();
  const server = Deno.serve(
    { hostname: listen.host, port: listen.port, signal: abort.signal, onListen: () => {} },
    (request, { remoteAddr }) => app.fetch(request, { remoteAddr }),
  );
  const { hostname: address, port } = server.addr;
  return {
    address,
    port,
    async shutdown() {
      const timer = setTimeout(() => abort.abort(), drainTime);
      await server.shutdown();
      clearTimeout(timer);
    },
  };
}
