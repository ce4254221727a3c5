/**
 * What every bookinfo application does beside its own work: serve HTTP, call others through its agent, pass trace
 * headers and the user on, and misbehave when told to.
 */

/** One application as the demo starts it. */
export interface ApplicationOptions {
  service: "productpage" | "details" | "reviews" | "ratings";
  /** `v1`, `v2` …; decides how reviews behaves. */
  version: string;
  /** Where it listens. */
  address: string;
  port: number;
  /** The workload's own HTTP proxy address at its agent; null where it calls nobody. */
  proxy: string | null;
}

export interface Caller {
  /** Who is logged in: header `end-user`, or productpage's cookie `session`; empty: nobody. */
  user: string;
  /** Calls another service with the headers of the request that is being answered. */
  call(url: string): Promise<Response>;
}

export type Handler = (url: URL, caller: Caller) => Response | Promise<Response>;

/** What tracing systems and bookinfo's own rules need to see on every hop. */
const propagated = [
  "x-request-id",
  "traceparent",
  "tracestate",
  "x-b3-traceid",
  "x-b3-spanid",
  "x-b3-parentspanid",
  "x-b3-sampled",
  "x-b3-flags",
  "b3",
];

/** Starts one application; requests are answered by `handle` unless they are for the common paths below. */
export function startApplication(options: ApplicationOptions, handle: Handler): Deno.HttpServer {
  const client = options.proxy === null ? undefined : Deno.createHttpClient({ proxy: { url: options.proxy } });
  let failing: number | null = null;
  return Deno.serve({ hostname: options.address, port: options.port, onListen: () => {} }, async (request) => {
    const url = new URL(request.url);
    if (url.pathname === "/health") return Response.json({ status: "healthy" });
    if (url.pathname === "/headers") {
      return Response.json({ ...named(options), headers: Object.fromEntries(request.headers) });
    }
    if (url.pathname === "/-/fail") {
      failing = Number(url.searchParams.get("status")) || null;
      return Response.json({ failing });
    }
    if (failing !== null) return Response.json({ error: "told to fail", ...named(options) }, { status: failing });
    const delay = /^\/delay\/(\d{1,5})$/.exec(url.pathname);
    if (delay !== null) {
      await new Promise((done) => setTimeout(done, Number(delay[1])));
      return Response.json({ ...named(options), delayed: Number(delay[1]) });
    }
    const headers = propagate(request.headers);
    const call = (target: string) => fetch(target, { client, headers });
    return await handle(url, { call, user: headers.get("end-user") ?? "" });
  });
}

function named({ service, version }: ApplicationOptions): { service: string; version: string } {
  return { service, version };
}

/** The headers of an incoming request that go with each call it causes; a login cookie becomes `end-user`. */
export function propagate(from: Headers): Headers {
  const to = new Headers();
  const cookie = /(?:^|;\s*)session=([^;]+)/.exec(from.get("cookie") ?? "");
  const user = from.get("end-user") ?? (cookie === null ? null : decodeURIComponent(cookie[1]));
  if (user !== null) to.set("end-user", user);
  for (const name of propagated) {
    const value = from.get(name);
    if (value !== null) to.set(name, value);
  }
  return to;
}
