/**
 * Envoy's buffer filter: a request goes on when it is whole, or is refused when it is too large
 * (https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/buffer_filter).
 */
import { BodyKind } from "../decode/framing.ts";
import type { Exchange } from "../exchange.ts";
import { outcomes } from "../respond/outcome.ts";

/** True: the request waits for the rest of its body and then goes on with `next`, or has been refused. */
export function buffersBody(exchange: Exchange, next: () => void): boolean {
  const { route, downstream } = exchange;
  const ofRoute = route!.maxRequestBytes;
  const limit = ofRoute === undefined ? downstream!.link.chain.http.maxRequestBytes : ofRoute;
  // Where the bytes are another protocol's, there is no body to wait for.
  if (limit === undefined || limit === null || exchange.bodyKind === BodyKind.tunnel) return false;
  if (exchange.bodyLength > limit || exchange.body.length > limit) {
    exchange.reply(outcomes.payloadTooLarge);
    return true;
  }
  if (exchange.requestComplete) return false;
  exchange.collectBody(limit, next);
  return true;
}
