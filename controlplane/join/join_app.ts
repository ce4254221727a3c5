/** Joining: an agent without certificates brings a token and signing requests, and leaves with identities. */
import { Hono } from "hono";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import type { Admission } from "../../ca/admission/admission.ts";
import { AdmissionError } from "../../ca/admission/admission_error.ts";
import type { Authority } from "../../ca/authority/authority.ts";
import { formatServiceAccount } from "../../ca/spiffe/spiffe_id.ts";
import { SigningRequestError } from "../../ca/x509/signing_request.ts";
import { logger } from "../../log/log.ts";
import { FailureLimiter } from "./failure_limiter.ts";
import { type JoinAnswer, type JoinCall, readJoinCall } from "./join_request.ts";
import { BodyError, readBody } from "./request_body.ts";

export interface JoinOptions {
  authority: Authority;
  admission: Admission;
  /** `host:port` each: what joined agents are told to connect to. */
  xdsAddresses: string[];
  /** Milliseconds since the epoch. */
  now?: () => number;
}

/** What `Deno.serve` says of a connection. */
export interface JoinBindings {
  remoteAddr?: Deno.Addr;
}

interface Refusal {
  status: ContentfulStatusCode;
  error: string;
  hint: string;
}

const log = logger("join");
/** Room for the largest token and as many requests as one call may have. */
const bodyLimit = 256 * 1024;
const bodyDeadline = 10_000;
/** Calls served at once; each costs some milliseconds of signing. */
const concurrency = 32;

/** The application behind the join port (15011). All its answers are JSON; refusals are `{error, hint}`. */
export function joinApp(options: JoinOptions): Hono<{ Bindings: JoinBindings }> {
  const limiter = new FailureLimiter(options.now ?? Date.now);
  const app = new Hono<{ Bindings: JoinBindings }>();
  let active = 0;

  app.post("/v1/join", async (c) => {
    const remote = remoteOf(c.env);
    const delay = limiter.delayFor(remote);
    if (delay > 0 || active >= concurrency) {
      const seconds = Math.ceil(Math.max(delay, 1000) / 1000);
      c.header("retry-after", String(seconds));
      return delay > 0
        ? c.json({ error: "too many failed joins from this address", hint: `try again in ${seconds} s` }, 429)
        : c.json({ error: "too many joins at once", hint: `try again in ${seconds} s` }, 503);
    }
    active++;
    try {
      const call = readJoinCall(await readBody(c.req.raw, bodyLimit, bodyDeadline));
      const answer = await join(options, call);
      log.info("joined", { remote, identities: answer.certificates.map(({ identity }) => identity).join(",") });
      return c.json(answer);
    } catch (error) {
      const { status, ...refusal } = refusalOf(error, remote);
      if (status < 500) limiter.failed(remote);
      return c.json(refusal, status);
    } finally {
      active--;
    }
  });
  app.all("/v1/join", (c) => {
    c.header("allow", "POST");
    return c.json({ error: "joining is a POST", hint: "start an agent with --token" }, 405);
  });
  app.notFound((c) => c.json({ error: "no such path", hint: "agents join at /v1/join" }, 404));
  return app;
}

async function join(options: JoinOptions, call: JoinCall): Promise<JoinAnswer> {
  const { authority, admission, xdsAddresses } = options;
  const admitted = await admission.admit(call.token, call.requests);
  const certificates = [];
  for (const { id, csr } of admitted) {
    const { chain, notAfter } = await authority.signWorkload(csr, id);
    certificates.push({ identity: formatServiceAccount(id), chain, notAfter: notAfter.toISOString() });
  }
  return {
    certificates,
    trustBundle: authority.trustBundle(),
    controlPlane: xdsAddresses,
    trustDomain: authority.trustDomain,
  };
}

/** Says to an honest operator what is wrong with the call, and to nobody what is wrong with us. */
function refusalOf(error: unknown, remote: string): Refusal {
  if (error instanceof AdmissionError) {
    log.warn("join refused", { remote, code: error.code, reason: error.message, cause: causeOf(error) });
    return { status: error.status, error: error.message, hint: error.hint };
  }
  if (error instanceof SigningRequestError) {
    log.warn("join refused", { remote, code: error.code, reason: error.message });
    return { status: 400, error: error.message, hint: error.hint };
  }
  if (error instanceof BodyError) {
    log.warn("join refused", { remote, reason: error.message });
    return { status: error.status, error: error.message, hint: "a join call is a few KiB of JSON" };
  }
  log.error("join failed", { remote, reason: error instanceof Error ? error.message : String(error) });
  return { status: 500, error: "the control plane cannot join agents now", hint: "its log says why" };
}

function causeOf(error: Error): string | undefined {
  return error.cause instanceof Error ? error.cause.message : undefined;
}

function remoteOf(bindings: JoinBindings | undefined): string {
  const address = bindings?.remoteAddr;
  return address !== undefined && "hostname" in address ? address.hostname : "unknown";
}
