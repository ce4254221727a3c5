/** `POST /api/v1/tokens`: join tokens by REST. */
import type { Handler } from "hono";
import { AdmissionError } from "../../ca/admission/admission_error.ts";
import { SpiffeIdError } from "../../ca/spiffe/spiffe_id.ts";
import { BodyError, readBody } from "../join/request_body.ts";
import type { ApiBindings } from "./local_calls.ts";

/** What a token is to say. */
export interface TokenRequest {
  /** `NAMESPACE/SERVICE-ACCOUNT` each. */
  identities: string[];
  uses: number;
  /** Milliseconds. */
  ttl: number;
}

const bodyLimit = 64 * 1024;
const bodyDeadline = 5_000;
const hour = 3_600_000;
const shape = 'send {"identities": ["NAMESPACE/NAME"], "uses": 1, "ttl": 3600000}; ttl is in milliseconds';

export function tokenHandler(create: (request: TokenRequest) => Promise<string>): Handler<{ Bindings: ApiBindings }> {
  return async (c) => {
    try {
      // A page in a browser could send other types without asking first.
      if (!/^application\/json\b/.test(c.req.header("content-type") ?? "")) {
        return c.json({ error: "the body is not application/json", hint: shape }, 415);
      }
      const body = await readBody(c.req.raw, bodyLimit, bodyDeadline);
      return c.json({ token: await create(readRequest(new TextDecoder().decode(body))) }, 201);
    } catch (error) {
      if (error instanceof BodyError) return c.json({ error: error.message, hint: shape }, error.status);
      if (error instanceof AdmissionError) return c.json({ error: error.message, hint: error.hint }, error.status);
      if (error instanceof SpiffeIdError || error instanceof SyntaxError) {
        return c.json({ error: error.message, hint: shape }, 400);
      }
      throw error;
    }
  };
}

/** @throws {SyntaxError} */
function readRequest(text: string): TokenRequest {
  const body: unknown = JSON.parse(text);
  if (typeof body !== "object" || body === null) throw new SyntaxError("the body is not an object");
  const { identities, uses = 1, ttl = hour } = body as Record<string, unknown>;
  if (!Array.isArray(identities) || !identities.every((identity) => typeof identity === "string")) {
    throw new SyntaxError("identities is not a list of texts");
  }
  if (typeof uses !== "number" || typeof ttl !== "number") throw new SyntaxError("uses or ttl is not a number");
  return { identities, uses, ttl };
}
