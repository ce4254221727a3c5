/** Filter chains as a data thread uses them, and the choice among those that share a socket. */
import type {
  FilterChainConfig,
  HttpConnectionManagerConfig,
  ListenerConfig,
  TcpProxyConfig,
} from "../config/model.ts";
import { ascii } from "../decode/characters.ts";
import { LocalRateLimit } from "../filters/local_rate_limit.ts";
import { PeerVerification } from "../identify/peer_verification.ts";
import { Rules } from "../../routing/authorize/judge.ts";
import { ForwardedHeaders } from "../identify/forwarded_headers.ts";
import { AccessLogFormat } from "../record/access_log.ts";
import type { RouteTable } from "../route/route_table.ts";
import type { ProxyState } from "../worker/proxy_state.ts";
import type { ContextSlot } from "../worker/tls_contexts.ts";
import type { ClientHello } from "./client_hello.ts";
import type { PlaintextProtocol } from "./http_inspector.ts";

export class FilterChain {
  readonly inbound: boolean;
  readonly contextSlot: ContextSlot | null;
  /** What a client's certificate must be, where it shows one; `null`: trusted is enough. */
  readonly clientVerification: PeerVerification | null;
  /** `server: …\r\n` */
  readonly serverLine: Uint8Array;
  readonly forwardedHeaders: ForwardedHeaders;
  readonly rateLimit: LocalRateLimit | null;
  /** What connections and requests must pass; `null`: nothing. */
  readonly rules: Rules | null;
  /** Set when the configuration has it no longer: connections that have it drain. */
  retired = false;
  readonly logs: { path: string; format: AccessLogFormat }[];
  readonly logFormats: AccessLogFormat[];
  /** What changes of the metrics: equal texts for equal changes. */
  readonly metricChanges: string;

  constructor(
    readonly proxy: ProxyState,
    readonly listener: ListenerConfig,
    readonly config: FilterChainConfig,
  ) {
    this.inbound = listener.direction === "inbound";
    // Of a client that resumes its session OpenSSL knows the certificate, but not the chain that led to the root.
    const needsChain = config.http?.clientCertDetails?.chain === true;
    const tls = config.tls !== null && needsChain ? { ...config.tls, sessionResumption: false } : config.tls;
    this.contextSlot = tls === null ? null : proxy.tls.server(tls);
    this.clientVerification = tls?.client === undefined ? null : new PeerVerification(tls.client);
    this.serverLine = ascii(`server: ${config.http?.serverName ?? ""}\r\n`);
    this.rateLimit = config.http?.rateLimit === undefined ? null : new LocalRateLimit(config.http.rateLimit);
    this.rules = config.authorization === undefined ? null : new Rules(config.authorization);
    this.forwardedHeaders = new ForwardedHeaders(config.http);
    this.logs = listener.accessLog.map((log) => ({ path: log.path, format: new AccessLogFormat(log) }));
    this.metricChanges = listener.metrics === undefined ? "" : JSON.stringify(listener.metrics);
    this.logFormats = this.logs.map((log) => log.format);
  }

  /** Of a chain for HTTP. */
  get http(): HttpConnectionManagerConfig {
    if (this.config.http === null) throw new Error(`filter chain ${this.config.name} is not for HTTP`);
    return this.config.http;
  }

  /** Of a chain for TCP. */
  get tcp(): TcpProxyConfig {
    if (this.config.tcp === null) throw new Error(`filter chain ${this.config.name} is not for TCP`);
    return this.config.tcp;
  }

  /** The route table now in force; `undefined` while its configuration has not arrived. */
  get routes(): RouteTable | undefined {
    return this.proxy.routes.get(this.http.routeConfigName);
  }
}

/**
 * The chain that has taken the place of another one for the connections that the other one has accepted; `null`: they
 * could not be accepted any more.
 */
export function successorOf(chain: FilterChain, chains: readonly FilterChain[]): FilterChain | null {
  return chains.find((other) =>
    other.proxy === chain.proxy && other.listener.name === chain.listener.name &&
    other.config.name === chain.config.name && (other.config.tcp === null) === (chain.config.tcp === null) &&
    JSON.stringify(other.config.tls) === JSON.stringify(chain.config.tls)
  ) ?? null;
}

/**
 * The chain for a connection, as Envoy's filter chain matching has it: exact server name before the longest wildcard
 * before any, then transport and application protocol. Chains that match equally well are taken in turn: several
 * workloads of this agent behind one service.
 *
 * @param hello `null` for a connection that does not begin with a ClientHello
 * @param turn a number that grows with each connection
 * @param plaintext what a connection without TLS was found to speak; empty: it was not looked for, or is no HTTP
 */
export function matchFilterChain(
  chains: readonly FilterChain[],
  hello: ClientHello | null,
  turn: number,
  plaintext: PlaintextProtocol = "",
): FilterChain | null {
  let best: FilterChain[] = [];
  let bestScore = -1;
  for (const chain of chains) {
    const score = matchScore(chain.config, hello, plaintext);
    if (score < 0 || score < bestScore) continue;
    if (score > bestScore) best = [];
    bestScore = score;
    best.push(chain);
  }
  return best.length === 0 ? null : best[turn % best.length];
}

/** How specific the match is; negative when it is none. Server names weigh most, as they come first in Envoy's order. */
function matchScore(config: FilterChainConfig, hello: ClientHello | null, plaintext: PlaintextProtocol): number {
  let score = 0;
  if (config.serverNames.length > 0) {
    const name = hello === null ? -1 : serverNameScore(config.serverNames, hello.serverName);
    if (name < 0) return -1;
    score += name * 4;
  }
  if (config.transportProtocol !== "") {
    if ((config.transportProtocol === "tls") !== (hello !== null)) return -1;
    score += 2;
  }
  if (config.applicationProtocols.length > 0) {
    const spoken = hello === null ? [plaintext] : hello.alpn;
    if (!spoken.some((protocol) => config.applicationProtocols.includes(protocol))) return -1;
    score += 1;
  }
  return score;
}

const exactScore = 1000;

function serverNameScore(patterns: string[], serverName: string): number {
  let best = -1;
  for (const pattern of patterns) {
    if (pattern === serverName) return exactScore;
    if (pattern.startsWith("*.") && serverName.endsWith(pattern.slice(1))) best = Math.max(best, pattern.length);
  }
  return best;
}
