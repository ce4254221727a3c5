/** `/healthz/ready` (15021): may this agent get traffic? */
import { Hono } from "hono";
import type { LocalBindings } from "./local_server.ts";

/** `unready` says why the agent is not ready yet; `null`: it is. */
export function healthApp(unready: () => string | null): Hono<{ Bindings: LocalBindings }> {
  const app = new Hono<{ Bindings: LocalBindings }>();
  app.get("/healthz/ready", (c) => {
    const reason = unready();
    return reason === null ? c.text("ready\n") : c.text(`not ready: ${reason}\n`, 503);
  });
  app.get("/healthz/live", (c) => c.text("live\n"));
  return app;
}
