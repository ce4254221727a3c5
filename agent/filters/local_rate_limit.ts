/**
 * Envoy's local rate limit: requests beyond a token bucket's are answered with 429
 * (https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/local_rate_limit_filter).
 */
import type { RateLimitConfig } from "../config/model.ts";
import type { DownstreamLink } from "../downstream_stream.ts";
import type { Exchange } from "../exchange.ts";
import { Flag } from "../respond/outcome.ts";
import { happens } from "../route/route_table.ts";
import { bucketLength, ticksPerSecond, TokenBucket } from "./token_bucket.ts";

/** RESOURCE_EXHAUSTED of gRPC. */
const resourceExhausted = 8;

export class LocalRateLimit {
  readonly bucket: TokenBucket;
  /** Where a connection has a bucket of its own: its places, in memory that nobody shares. */
  readonly #ofConnection = new WeakMap<DownstreamLink, Int32Array>();

  constructor(readonly config: RateLimitConfig) {
    this.bucket = new TokenBucket(config.perConnection === true ? { ...config.bucket, slot: 0 } : config.bucket);
  }

  /** The memory that the bucket for this caller stands in. */
  placesFor(exchange: Exchange): Int32Array {
    if (this.config.perConnection !== true) return exchange.thread.shared;
    const { link } = exchange.downstream!;
    let places = this.#ofConnection.get(link);
    if (places === undefined) this.#ofConnection.set(link, places = new Int32Array(bucketLength));
    return places;
  }
}

/** The limit for a request: its route's, else that of its connection manager. */
function limitFor(exchange: Exchange): LocalRateLimit | null {
  const { rateLimit } = exchange.route!;
  return rateLimit === undefined ? exchange.downstream!.link.chain.rateLimit : rateLimit;
}

/** True: the request was one too many, and has been answered. */
export function limitsRate(exchange: Exchange): boolean {
  const limit = limitFor(exchange);
  if (limit === null || !happens(limit.config.enabled)) return false;
  const { config, bucket } = limit;
  const shared = limit.placesFor(exchange);
  const now = Math.floor(exchange.thread.secondsSinceStart() * ticksPerSecond) | 0;
  const admitted = bucket.take(shared, now);
  if (config.headers) {
    exchange.addResponseHeader("x-ratelimit-limit", String(config.bucket.maxTokens));
    exchange.addResponseHeader("x-ratelimit-remaining", String(bucket.remaining(shared)));
    const reset = Math.ceil(bucket.untilFill(shared, now) / ticksPerSecond);
    exchange.addResponseHeader("x-ratelimit-reset", String(reset));
  }
  if (admitted || !happens(config.enforced)) return false;
  for (const { name, value } of config.responseHeaders) exchange.addResponseHeader(name, value, "append");
  const grpcStatus = config.resourceExhausted === true ? resourceExhausted : undefined;
  exchange.respond(config.status, "local_rate_limited", Flag.RL, "", false, false, grpcStatus);
  return true;
}
