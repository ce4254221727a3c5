/** How the main thread finds the addresses of names, for clusters that have names in the place of addresses. */

/** How the main thread resolves the names among the endpoints of a cluster. Times are milliseconds. */
export interface DnsConfig {
  /** LOGICAL_DNS: of each name one address at a time, and connections to earlier ones are kept. */
  logical: boolean;
  lookupFamily: "AUTO" | "V4_ONLY" | "V6_ONLY" | "V4_PREFERRED" | "ALL";
  refreshRate: number;
  respectTtl: boolean;
  /** A name that could not be resolved is asked for again after `base`, then after up to `maximum`. */
  failureRefresh: { base: number; maximum: number };
}

/** How hosts come and go that requests name themselves (Envoy's dynamic_forward_proxy). Times are milliseconds. */
export interface DynamicHostsConfig {
  /** A host that no request has been for in this time is forgotten. */
  hostTtl: number;
  /** Hosts at once, of all threads; for a new one the one goes that was used least recently. */
  maxHosts: number;
  /** Requests of one thread that may wait for their host to be resolved. */
  maxPendingRequests: number;
  /** How long they may wait. */
  queryTimeout: number;
  /** How names are resolved. */
  dns: DnsConfig;
}
