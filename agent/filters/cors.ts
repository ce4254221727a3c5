/**
 * Envoy's CORS filter: answers preflights, and tells browsers which origins may read the responses
 * (https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/cors_filter).
 */
import type { CorsConfig } from "../config/model.ts";
import { ascii, sameBytes } from "../decode/characters.ts";
import type { RequestHead } from "../decode/head.ts";
import type { Exchange } from "../exchange.ts";
import { Flag } from "../respond/outcome.ts";
import { type ByteMatcher, compileMatcher } from "../route/matchers.ts";
import { happens } from "../route/route_table.ts";

const originName = ascii("origin");
const requestMethod = ascii("access-control-request-method");
const privateNetwork = ascii("access-control-request-private-network");
const options = ascii("OPTIONS");
const star = ascii("*");

export class CorsPolicy {
  readonly #origins: ByteMatcher[];

  constructor(readonly config: CorsConfig) {
    this.#origins = config.origins.map(compileMatcher);
  }

  /** Envoy's rule: a matcher that takes `*` takes every origin. */
  allows(bytes: Uint8Array, start: number, end: number): boolean {
    return this.#origins.some((matches) => matches(star, 0, 1) || matches(bytes, start, end));
  }
}

/** True: the request was a preflight, and has been answered. */
export function answersPreflight(exchange: Exchange, head: RequestHead, policy: CorsPolicy): boolean {
  const { fields } = head;
  const index = fields.find(originName);
  if (index < 0 || fields.valueStart(index) === fields.valueEnd(index)) return false;
  const { config } = policy;
  if (config.enabled !== null && !happens(config.enabled)) return false;
  const allowed = policy.allows(fields.bytes, fields.valueStart(index), fields.valueEnd(index));
  if (isPreflight(head)) {
    if (!allowed && config.forwardUnmatchedPreflights) return false;
    if (allowed) allowPreflight(exchange, head, fields.value(index), config);
    exchange.respond(200, "", Flag.none, "", false, false);
    return true;
  }
  if (allowed) allowOrigin(exchange, fields.value(index), config);
  return false;
}

function isPreflight(head: RequestHead): boolean {
  const { fields, methodStart, methodEnd } = head;
  if (!sameBytes(fields.bytes, methodStart, methodEnd - methodStart, options)) return false;
  const method = fields.find(requestMethod);
  return method >= 0 && fields.valueEnd(method) > fields.valueStart(method);
}

function allowOrigin(exchange: Exchange, origin: string, config: CorsConfig): void {
  exchange.addResponseHeader("access-control-allow-origin", origin);
  if (config.credentials) exchange.addResponseHeader("access-control-allow-credentials", "true");
  // Of preflights too, as Envoy 1.40 has it.
  if (config.exposeHeaders !== "") exchange.addResponseHeader("access-control-expose-headers", config.exposeHeaders);
}

function allowPreflight(exchange: Exchange, head: RequestHead, origin: string, config: CorsConfig): void {
  allowOrigin(exchange, origin, config);
  if (config.methods !== "") exchange.addResponseHeader("access-control-allow-methods", config.methods);
  if (config.headers !== "") exchange.addResponseHeader("access-control-allow-headers", config.headers);
  if (config.maxAge !== "") exchange.addResponseHeader("access-control-max-age", config.maxAge);
  const asked = head.fields.find(privateNetwork);
  if (config.privateNetwork && asked >= 0 && head.fields.value(asked) === "true") {
    exchange.addResponseHeader("access-control-allow-private-network", "true");
  }
}
