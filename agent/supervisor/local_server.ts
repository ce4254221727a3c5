/** The HTTP servers for this machine: health, metrics, admin. */
import type { Hono } from "hono";
import { AgentStartError } from "./agent_start_error.ts";

export interface LocalServer {
  address: Deno.NetAddr;
  stop(): Promise<void>;
}

/** What `Deno.serve` tells of a connection. */
export interface LocalBindings {
  remoteAddr: Deno.NetAddr;
}

/** Serves an application. Throws {@link AgentStartError} when the address cannot be had. */
export function serveLocally(
  what: string,
  hostname: string,
  port: number,
  app: Hono<{ Bindings: LocalBindings }>,
): LocalServer {
  try {
    const abort = new AbortController();
    const server = Deno.serve(
      { hostname, port, onListen: () => {}, signal: abort.signal },
      (request, { remoteAddr }) => app.fetch(request, { remoteAddr }),
    );
    return {
      address: server.addr,
      // Connections that clients keep open must not hold up the end.
      stop: () => {
        abort.abort();
        return server.finished;
      },
    };
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new AgentStartError(
      `cannot serve ${what} on ${hostname}:${port}: ${reason}`,
      "free that port, or choose another in agent.yaml: spec.ports, spec.localAddress",
      { cause },
    );
  }
}
