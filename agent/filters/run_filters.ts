/** The HTTP filters of a chain, in their order, on a request that has a route. */
import type { Permit } from "../authorize/authorize.ts";
import type { RequestHead } from "../decode/head.ts";
import type { Exchange } from "../exchange.ts";
import { buffersBody } from "./buffer.ts";
import { answersPreflight } from "./cors.ts";
import { injectFault } from "./fault.ts";
import { limitsRate } from "./local_rate_limit.ts";

/** Runs the filters from `index` on, and then forwards; one that answers or waits ends the run. */
export function runFilters(exchange: Exchange, head: RequestHead, permit: Permit, index = 0): void {
  const filters = exchange.downstream!.link.chain.http.httpFilters;
  const route = exchange.route!;
  for (let i = index; i < filters.length; i++) {
    switch (filters[i]) {
      case "buffer":
        if (buffersBody(exchange, () => runFilters(exchange, head, permit, i + 1))) return;
        break;
      case "cors":
        if (route.cors !== null && answersPreflight(exchange, head, route.cors)) return;
        break;
      case "local_ratelimit":
        if (limitsRate(exchange)) return;
        break;
      case "fault":
        if (route.fault !== null) {
          // After a delay, or a wait, the head's bytes are gone: translation has the filters that need them go before.
          return injectFault(exchange, route.fault, () => runFilters(exchange, head, permit, i + 1));
        }
        break;
      case "router":
        return exchange.forward(permit);
    }
  }
}

/** As {@link runFilters}, for a request that the route itself answers; true: a filter has answered it. */
export function filtersAnswer(exchange: Exchange): boolean {
  return exchange.downstream!.link.chain.http.httpFilters.includes("local_ratelimit") && limitsRate(exchange);
}
