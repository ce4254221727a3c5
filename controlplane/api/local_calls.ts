/** Calls that change something are for operators of this machine. */
import { BlockList, isIP } from "node:net";
import type { Context, MiddlewareHandler } from "hono";

/** What `Deno.serve` says of a connection. */
export interface ApiBindings {
  remoteAddr?: Deno.Addr;
}

const loopback = new BlockList();
loopback.addSubnet("127.0.0.0", 8, "ipv4");
loopback.addAddress("::1", "ipv6");

/**
 * Lets through what comes from this machine, by a program: not from elsewhere, and not from a page in a browser here,
 * which carries an `Origin`, or a `Host` that somebody's DNS points at this machine.
 */
export const localCallsOnly: MiddlewareHandler<{ Bindings: ApiBindings }> = async (c, next) => {
  const refuse = (error: string) => c.json({ error, hint: "call it from the control plane's own machine" }, 403);
  if (!isLoopback(remoteOf(c))) return refuse("only callers on this machine may do this");
  if (c.req.header("origin") !== undefined) return refuse("pages in a browser may not do this");
  if (!isLocalName(new URL(c.req.url).hostname)) return refuse("the Host of the call does not name this machine");
  await next();
};

function remoteOf(c: Context<{ Bindings: ApiBindings }>): string {
  const address = c.env?.remoteAddr;
  return address !== undefined && "hostname" in address ? address.hostname : "";
}

function isLoopback(address: string): boolean {
  const plain = address.replace(/^::ffff:(?=[0-9.]+$)/i, "");
  const version = isIP(plain);
  return version !== 0 && loopback.check(plain, version === 4 ? "ipv4" : "ipv6");
}

function isLocalName(hostname: string): boolean {
  return hostname === "localhost" || isLoopback(hostname.replace(/^\[|\]$/g, ""));
}
