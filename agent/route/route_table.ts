/** A route configuration as a data thread uses it: virtual hosts by authority, routes in order. */
import { RE2JS } from "re2js";
import { HashPolicies } from "../balance/hash_policy.ts";
import type {
  DirectResponseConfig,
  FaultConfig,
  Fraction,
  MirrorConfig,
  RedirectConfig,
  RouteActionConfig,
  RouteConfig,
  RouteEntryConfig,
} from "../config/model.ts";
import { ascii, COLON } from "../decode/characters.ts";
import type { RequestHead } from "../decode/head.ts";
import { compileRetryPolicy, type RetryPolicy } from "../../routing/resilience/retry.ts";
import type { RouteTimeouts } from "../../routing/resilience/timeouts.ts";
import { CorsPolicy } from "../filters/cors.ts";
import { LocalRateLimit } from "../filters/local_rate_limit.ts";
import { CompiledMutation } from "./header_mutation.ts";
import { HostTable } from "./host_table.ts";
import { compileRouteMatch, type HeadMatcher } from "./matchers.ts";

export interface WeightedCluster {
  name: string;
  /** Sum of the weights up to and with this one. */
  cumulativeWeight: number;
  requestHeaders: CompiledMutation;
  responseHeaders: CompiledMutation;
}

export interface ForwardAction {
  kind: "route";
  clusters: WeightedCluster[];
  totalWeight: number;
  timeouts: RouteTimeouts;
  idleTimeout: number | null;
  retry: RetryPolicy | null;
  /** Bytes that replace the first {@link Route.matchedLength} bytes of the path; `null`: none. */
  prefixRewrite: Uint8Array | null;
  regexRewrite: { pattern: RE2JS; substitution: string } | null;
  hostRewrite: Uint8Array | null;
  /** Protocols (lower case) that the route allows or forbids, whatever the connection manager says. */
  upgrades: ReadonlyMap<string, boolean>;
  /** `null`: requests have nothing in common that decides their host. */
  hashPolicies: HashPolicies | null;
  /** Clusters that get copies; `null`: none. */
  mirrors: readonly MirrorConfig[] | null;
}

export interface Route {
  name: string;
  /** Takes CONNECT and nothing else. */
  connect: boolean;
  matchers: HeadMatcher[];
  fraction: Fraction | null;
  /** Length of the path that the match covers; -1: all of it. */
  matchedLength: number;
  action: ForwardAction | RedirectConfig | DirectResponseConfig;
  requestHeaders: CompiledMutation;
  responseHeaders: CompiledMutation;
  fault: FaultConfig | null;
  cors: CorsPolicy | null;
  /** Bytes of the largest request, `null`: any; absent: the connection manager's limit holds. */
  maxRequestBytes: number | null | undefined;
  /** The local rate limit of its own, `null` where nothing is limited; absent: the connection manager's holds. */
  rateLimit: LocalRateLimit | null | undefined;
  attemptCount: { request: boolean; response: boolean };
}

const noAttemptCount = { request: false, response: false };

export class RouteTable {
  readonly name: string;
  readonly #hosts: HostTable<Route[]>;
  readonly #ignorePort: boolean;

  constructor(config: RouteConfig) {
    this.#ignorePort = config.ignorePort === true;
    this.name = config.name;
    this.#hosts = new HostTable(config.virtualHosts.flatMap((virtualHost) => {
      const routes = virtualHost.routes.map(compileRoute);
      return virtualHost.domains.map((domain) => ({ domain, value: routes }));
    }));
  }

  /** The first route that matches, or `null`. */
  select(head: RequestHead): Route | null {
    // CONNECT has no path: without this, a pattern that matches nothing would let it through to an application.
    const connect = head.pathStart === head.pathEnd;
    const { bytes } = head.fields;
    const end = this.#ignorePort ? nameEnd(bytes, head.authorityStart, head.authorityEnd) : head.authorityEnd;
    const routes = this.#hosts.find(bytes, head.authorityStart, end);
    if (routes === null) return null;
    next: for (let i = 0; i < routes.length; i++) {
      const route = routes[i];
      if (route.connect !== connect) continue;
      const matchers = route.matchers;
      for (let j = 0; j < matchers.length; j++) {
        if (!matchers[j](head)) continue next;
      }
      if (route.fraction !== null && !happens(route.fraction)) continue;
      return route;
    }
    return null;
  }
}

/** Where the name of an authority ends: before the port, if there is one. */
function nameEnd(bytes: Uint8Array, start: number, end: number): number {
  let colon = end - 1;
  while (colon > start && bytes[colon] >= 48 && bytes[colon] <= 57) colon--;
  return colon > start && bytes[colon] === COLON ? colon : end;
}

/** Draws whether something of this probability happens. */
export function happens(fraction: Fraction): boolean {
  return fraction.numerator > 0 && Math.random() * fraction.denominator < fraction.numerator;
}

/** Draws one of the weighted clusters. */
export function chooseCluster(action: ForwardAction): WeightedCluster {
  const clusters = action.clusters;
  if (clusters.length > 1) {
    const drawn = Math.random() * action.totalWeight;
    for (let i = 0; i < clusters.length; i++) {
      if (drawn < clusters[i].cumulativeWeight) return clusters[i];
    }
  }
  return clusters[clusters.length - 1];
}

function compileRoute(entry: RouteEntryConfig): Route {
  const path = entry.match.path;
  return {
    name: entry.name,
    connect: entry.match.connect === true,
    matchers: compileRouteMatch(entry.match),
    fraction: entry.match.fraction,
    matchedLength: path.kind === "prefix" || path.kind === "pathSeparatedPrefix" ? ascii(path.value).length : -1,
    action: entry.action.kind === "route" ? compileForward(entry.action) : entry.action,
    requestHeaders: new CompiledMutation(entry.requestHeaders),
    responseHeaders: new CompiledMutation(entry.responseHeaders),
    fault: entry.fault,
    rateLimit: entry.rateLimit ? new LocalRateLimit(entry.rateLimit) : entry.rateLimit,
    maxRequestBytes: entry.maxRequestBytes,
    cors: entry.cors === undefined ? null : new CorsPolicy(entry.cors),
    attemptCount: entry.attemptCount ?? noAttemptCount,
  };
}

function compileForward(action: RouteActionConfig): ForwardAction {
  let sum = 0;
  const clusters = action.clusters.map((cluster) => ({
    name: cluster.name,
    cumulativeWeight: sum += cluster.weight,
    requestHeaders: new CompiledMutation(cluster.requestHeaders),
    responseHeaders: new CompiledMutation(cluster.responseHeaders),
  }));
  return {
    kind: "route",
    clusters,
    totalWeight: sum,
    timeouts: action,
    idleTimeout: action.idleTimeout,
    retry: action.retry === null ? null : compileRetryPolicy(action.retry),
    prefixRewrite: action.prefixRewrite === "" ? null : ascii(action.prefixRewrite),
    regexRewrite: action.regexRewrite === null ? null : {
      pattern: RE2JS.compile(action.regexRewrite.pattern),
      // Envoy writes capture groups as \1, the engine as $1.
      substitution: action.regexRewrite.substitution.replaceAll("$", "\\$").replaceAll(/\\(\d)/g, "$$$1"),
    },
    hostRewrite: action.hostRewrite === "" ? null : ascii(action.hostRewrite),
    mirrors: action.mirrors ?? null,
    upgrades: new Map(Object.entries(action.upgrades ?? {})),
    hashPolicies: action.hashPolicies === undefined ? null : new HashPolicies(action.hashPolicies),
  };
}
