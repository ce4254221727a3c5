/** Gives the rate limits of listeners and routes their buckets in shared memory. */
import type { ListenerConfig, RouteConfig, RouteEntryConfig } from "../config/model.ts";
import type { Slots } from "./slots.ts";

/** The listener itself where it limits nothing. */
export function placeListenerLimits(slots: Slots, proxy: string, listener: ListenerConfig): ListenerConfig {
  if (listener.filterChains.every(({ http }) => !http?.rateLimit)) return listener;
  const filterChains = listener.filterChains.map((chain) =>
    chain.http?.rateLimit
      ? { ...chain, http: { ...chain.http, rateLimit: slots.placeRateLimit(proxy, chain.http.rateLimit) } }
      : chain
  );
  return { ...listener, filterChains };
}

/** The route configuration itself where it limits nothing. */
export function placeRouteLimits(slots: Slots, proxy: string, config: RouteConfig): RouteConfig {
  if (config.virtualHosts.every(({ routes }) => routes.every(({ rateLimit }) => !rateLimit))) return config;
  const placed = (route: RouteEntryConfig) =>
    route.rateLimit ? { ...route, rateLimit: slots.placeRateLimit(proxy, route.rateLimit) } : route;
  return { ...config, virtualHosts: config.virtualHosts.map((host) => ({ ...host, routes: host.routes.map(placed) })) };
}
