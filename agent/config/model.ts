/**
 * What a data thread executes: xDS resources after translation, as plain JSON.
 *
 * The main thread translates (and refuses, with a NACK, what no data thread implements); a data thread only builds its
 * tables from this. Names are Envoy's in camelCase. All times are milliseconds; 0 means "off" unless said otherwise.
 */

import type { ThreadLimits } from "./thread_limits.ts";
import type { DynamicHostsConfig } from "./name_resolution.ts";
import type { HostRules } from "../../routing/canonical/host.ts";
import type { AccessLogConfig } from "./access_log_config.ts";
import type { BucketConfig } from "../filters/token_bucket.ts";
import type { MetricChange } from "../record/series.ts";
import type { HealthCheckConfig } from "../health_check/config.ts";
import type { RbacConfig } from "../../routing/authorize/condition.ts";
import type { PathRules } from "../../routing/canonical/path.ts";
import type { RetryBudget } from "../../routing/resilience/retry.ts";
import type { RouteTimeouts } from "../../routing/resilience/timeouts.ts";

/** One workload of this agent as the data plane knows it: an xDS node with its own listeners, clusters and routes. */
export interface ProxyDescription {
  /** Unique on this agent: the workload's name. Every listener, cluster and route below belongs to one proxy. */
  proxy: string;
  /** `spiffe://…` of the workload; empty where it has none (the refusing listener). */
  principal: string;
  /** Labels that metrics carry for this end (`source_*` outbound, `destination_*` inbound). */
  workload: WorkloadLabels;
}

export interface WorkloadLabels {
  workload: string;
  namespace: string;
  app: string;
  version: string;
  canonicalService: string;
  canonicalRevision: string;
  cluster: string;
}

// ---------------------------------------------------------------------------------------------------- listeners

export interface ListenerConfig {
  name: string;
  /** Several proxies may name the same address and port: their filter chains share one socket per thread. */
  address: string;
  port: number;
  direction: "inbound" | "outbound";
  /** Hostname of the service that the address is for, by Istio's metadata; absent: none. */
  service?: string;
  /** The listener filter proxy_protocol; absent: off. */
  proxyProtocol?: { allowRequestsWithoutProxyProtocol: boolean };
  /** The listener filter http_inspector: what plaintext connections speak is found out, for chains that ask; absent: off. */
  inspectsHttp?: boolean;
  /** How long chains may take to be chosen, milliseconds, and whether a connection is served then; absent: 15 s, it is not. */
  detection?: { timeout: number; continues: boolean };
  filterChains: FilterChainConfig[];
  /** Of transport_socket_connect_timeout, the first chain's, since it runs before one is chosen; absent: 15 s. */
  handshakeTimeout?: number;
  accessLog: AccessLogConfig[];
  /** What changes of the standard metrics, by their names without `istio_`; absent: nothing. */
  metrics?: Record<string, MetricChange>;
}

/** The first chain whose conditions hold is taken, most specific server name first, as Envoy's matching has it. */
export interface FilterChainConfig {
  name: string;
  /** Exact SNI values, or `*.suffix`; empty: any. */
  serverNames: string[];
  /** Empty: any. A chain for `tls` needs a ClientHello, one for `raw_buffer` its absence. */
  transportProtocol: "" | "tls" | "raw_buffer";
  /** ALPN values offered by the client, or what a plaintext connection speaks; empty: any. */
  applicationProtocols: string[];
  tls: DownstreamTlsConfig | null;
  /** RBAC filters, HTTP's or the network's, in their order, before everything else; absent: none. */
  authorization?: RbacConfig[];
  /** Exactly one of the two is set. */
  http: HttpConnectionManagerConfig | null;
  tcp: TcpProxyConfig | null;
}

/** What both ends of TLS may be told. */
export interface TlsSettings {
  /** Name of the secret with revocation lists, beside those of the trust bundle; absent: none. */
  crl?: string;
  /** Of TLS 1.2, in order of preference, by OpenSSL's names; absent: Envoy's default list. */
  cipherSuites?: string[];
  /** Groups for key exchange, in order of preference; absent: X25519, P-256, P-384. */
  groups?: string[];
}

/** What the peer's certificate must be beside trusted. */
export interface PeerRequirements {
  /**
   * URIs, DNS names and addresses of which the peer's certificate must carry one (or one by
   * {@link subjectAltNameMatchers}); both empty: any that the trust bundle vouches for.
   */
  subjectAltNames: string[];
  /** Absent: none. */
  subjectAltNameMatchers?: { kind: "uris" | "dnsNames" | "emails" | "addresses"; matcher: StringMatcher }[];
  /** SHA-256 of the certificate in lower-case hexadecimal; with {@link publicKeyHashes}, one of which must be met. */
  certificateHashes?: string[];
  /** SHA-256 of the SubjectPublicKeyInfo in base64. */
  publicKeyHashes?: string[];
}

export interface DownstreamTlsConfig extends TlsSettings {
  /** Name of the {@link SecretConfig} with certificate and key. */
  certificate: string;
  /** Of secrets with certificates for keys of other types, which the client's offer chooses among; absent: none. */
  otherCertificates?: string[];
  /** What a client's certificate must be, where it shows one; absent: trusted. */
  client?: PeerRequirements;
  /** Name of the secret with the trust bundle for client certificates; empty: none is asked for. */
  trustBundle: string;
  requireClientCertificate: boolean;
  /** What the server agrees to speak, in order of preference. */
  alpn: string[];
  minimumVersion: "1.2" | "1.3";
  /** Absent: 1.3. */
  maximumVersion?: "1.2" | "1.3";
  /** Whether clients may resume sessions; absent: yes. */
  sessionResumption?: boolean;
}

export interface TcpProxyConfig {
  statPrefix: string;
  /** One entry for a plain `cluster`. Chosen in proportion to weight. */
  clusters: { name: string; weight: number }[];
  /** Without a byte either way for this long, the connection is closed; Envoy's default is 1 h. */
  idleTimeout: number;
  /** Hosts that are tried before the caller's connection is closed; Envoy's default is 1. */
  maxConnectAttempts: number;
  /** A connection that is this old is closed; absent: none is. */
  maxConnectionDuration?: number;
  /** Hash policy by the caller's address; absent: none. */
  hashesSourceAddress?: boolean;
  /** Set where connections go to the cluster inside HTTP requests. */
  tunneling?: TunnelingConfig;
}

/** A request of CONNECT, or of POST to `/`, for `hostname` (`host:port`), whose bodies are what is relayed. */
export interface TunnelingConfig {
  hostname: string;
  usePost: boolean;
}

export interface HttpConnectionManagerConfig {
  statPrefix: string;
  /** Name of the route configuration: one of this proxy's {@link RouteConfig}s. Inline ones get a name of their own. */
  routeConfigName: string;
  /** `server:` of local replies and of upstream responses (Envoy overwrites it). */
  serverName: string;
  /** Envoy's stream_idle_timeout, 5 min by default. */
  streamIdleTimeout: number;
  /** Whole head must have arrived by then. */
  requestHeadersTimeout: number;
  /** Whole request must have arrived by then, counted from its head; absent: no limit. */
  requestTimeout?: number;
  /** From a request's head to the end of its response, where the route does not say; absent: no limit. */
  maxStreamDuration?: number;
  /** Whether an internal caller's `x-envoy-expected-rq-timeout-ms` is the timeout (the router's field); absent: no. */
  respectExpectedTimeout?: boolean;
  /** A connection without a request is closed after this; Envoy's default is 1 h. */
  idleTimeout: number;
  /** A connection is closed after its n-th request; absent: no limit. */
  maxRequestsPerConnection?: number;
  /** A connection this old takes no more requests; absent: no limit. */
  maxConnectionDuration?: number;
  maxRequestHeadersBytes: number;
  /** True at the edge of the mesh: trust no `x-forwarded-*`, `x-envoy-*` from the caller. */
  useRemoteAddress: boolean;
  generateRequestId: boolean;
  forwardClientCertDetails: "SANITIZE" | "FORWARD_ONLY" | "APPEND_FORWARD" | "SANITIZE_SET" | "ALWAYS_FORWARD_ONLY";
  /** What is told of the peer where {@link forwardClientCertDetails} tells; absent: subject and URI. */
  clientCertDetails?: ClientCertDetails;
  /** What callers may say of themselves; absent: nothing at the edge, and Envoy's defaults elsewhere. */
  forwarding?: ForwardingConfig;
  /** How paths are spelt before anything looks at them; absent: as they come. */
  paths?: PathRules;
  /** What of the authority is left out before anything looks at it; absent: nothing. */
  hosts?: HostRules;
  /** HTTP filters that are switched on, in order, the router last. */
  httpFilters: HttpFilterName[];
  /** More headers than this are refused with 431; absent: the codecs' own limit of 100. */
  maxHeadersCount?: number;
  /** Of the buffer filter, for routes without one of their own: larger requests are refused with 413; absent: none. */
  maxRequestBytes?: number;
  /** Of the local rate limit filter, for routes without one of their own; absent: none. */
  rateLimit?: RateLimitConfig;
  /** Protocols (lower case, `websocket`) to which an `Upgrade` may lead. */
  upgradeTypes: string[];
}

/** HTTP filters that are implemented, by Envoy's names without `envoy.filters.http.`. */
export type HttpFilterName = "buffer" | "cors" | "local_ratelimit" | "fault" | "router";

/** Envoy's set_current_client_cert_details. */
export interface ClientCertDetails {
  subject: boolean;
  cert: boolean;
  chain: boolean;
  dns: boolean;
  uri: boolean;
}

export interface ForwardingConfig {
  /** Envoy's xff_num_trusted_hops: proxies in front whose entries in `x-forwarded-for` count. */
  trustedHops: number;
  /** Envoy's skip_xff_append. */
  skipAppend: boolean;
  /** Addresses whose requests may say `x-envoy-…`; by default none. */
  internalRanges: { address: string; length: number }[];
  /** Envoy's preserve_external_request_id: a caller's `x-request-id` is kept at the edge too. */
  preserveRequestId: boolean;
  /** Envoy's always_set_request_id_in_response. */
  requestIdInResponse: boolean;
  /** Appended to `via` of requests and responses; empty: none. */
  via: string;
}

// ------------------------------------------------------------------------------------------------------- routes

export interface RouteConfig {
  name: string;
  /** Whether the port of the authority counts when a virtual host is looked for; absent: it does. */
  ignorePort?: boolean;
  virtualHosts: VirtualHostConfig[];
}

export interface VirtualHostConfig {
  name: string;
  /** Lower-case; exact (`host` or `host:port`), `*.suffix`, `prefix.*` or `*`. */
  domains: string[];
  routes: RouteEntryConfig[];
}

/** How a string is compared. `ignoreCase` applies to exact, prefix, suffix and contains. */
export interface StringMatcher {
  kind: "exact" | "prefix" | "suffix" | "contains" | "regex" | "present";
  /** Of `regex` an RE2 pattern for the whole value. */
  value: string;
  ignoreCase: boolean;
}

export interface NamedMatcher {
  /** Header name in lower case, or query parameter. */
  name: string;
  matcher: StringMatcher;
  invert: boolean;
}

export interface RouteMatchConfig {
  /** Takes CONNECT, which has no path, and nothing else; absent: everything else. */
  connect?: boolean;
  /** On the path without its query. `pathSeparatedPrefix` is Envoy's path_separated_prefix. */
  path: { kind: "prefix" | "exact" | "regex" | "pathSeparatedPrefix"; value: string; ignoreCase: boolean };
  /** `:method`, `:authority` and `:scheme` are names here too. */
  headers: NamedMatcher[];
  queryParameters: NamedMatcher[];
  /** Envoy's runtime_fraction: matches for numerator out of denominator requests; `null`: always. */
  fraction: Fraction | null;
}

export interface Fraction {
  numerator: number;
  denominator: 100 | 10_000 | 1_000_000;
}

export interface RouteEntryConfig {
  name: string;
  match: RouteMatchConfig;
  action: RouteActionConfig | RedirectConfig | DirectResponseConfig;
  requestHeaders: HeaderMutation;
  responseHeaders: HeaderMutation;
  /** Where `x-envoy-attempt-count` is told; absent: nowhere. */
  attemptCount?: { request: boolean; response: boolean };
  /** typed_per_filter_config of the fault filter. */
  fault: FaultConfig | null;
  /** That of the CORS filter; absent: none. */
  cors?: CorsConfig;
  /** That of the buffer filter; absent: the connection manager's. `null`: requests are not buffered. */
  maxRequestBytes?: number | null;
  /** That of the local rate limit filter; absent: the connection manager's. `null`: nothing is limited. */
  rateLimit?: RateLimitConfig | null;
}

export interface RouteActionConfig extends RouteTimeouts {
  kind: "route";
  /** Absent: none. */
  mirrors?: MirrorConfig[];
  /** One entry for a plain `cluster`. Chosen in proportion to weight. */
  clusters: WeightedClusterConfig[];
  /** Overrides the connection manager's stream idle timeout; `null`: not set. */
  idleTimeout: number | null;
  retry: RetryConfig | null;
  /** Replaces the matched prefix (or exact path). Empty: none. */
  prefixRewrite: string;
  regexRewrite: { pattern: string; substitution: string } | null;
  /** Empty: none. */
  hostRewrite: string;
  /** What requests that shall go to the same host have in common; absent: nothing. */
  hashPolicies?: HashPolicyConfig[];
  /**
   * By protocol (lower case) whether an `Upgrade` may lead to it; absent ones are as the connection manager says. A
   * `connect` relays the bytes behind its head to the cluster (Envoy's connect_config).
   */
  upgrades?: Record<string, boolean>;
}

/** One part of a request's hash. `terminal`: once there is a hash, later policies are left out. */
export type HashPolicyConfig =
  & { terminal: boolean }
  & (
    | { kind: "header"; name: string }
    | {
      kind: "cookie";
      name: string;
      path: string;
      /** Seconds, 0: as long as the session; `null`: a cookie that is missing is not made. */
      ttl: number | null;
      attributes: { name: string; value: string }[];
    }
    | { kind: "sourceAddress" }
    | { kind: "queryParameter"; name: string }
  );

/** A cluster that gets copies of requests, whose responses nobody sees. */
export interface MirrorConfig {
  cluster: string;
  /** Share of the requests; `null`: all. */
  fraction: Fraction | null;
  /** Whether the host stays as it is; otherwise `-shadow` is added to it. */
  keepHost: boolean;
}

export interface WeightedClusterConfig {
  name: string;
  weight: number;
  requestHeaders: HeaderMutation;
  responseHeaders: HeaderMutation;
}

export interface RedirectConfig {
  kind: "redirect";
  status: number;
  host: string;
  /** 0: unchanged. */
  port: number;
  scheme: string;
  path: string;
  prefixRewrite: string;
  stripQuery: boolean;
}

export interface DirectResponseConfig {
  kind: "direct";
  status: number;
  body: string;
}

/** Text, or a command operator; `names` are the arguments of `REQ` and `RESP`, of which the first that is there counts. */
export type HeaderFormatPart = string | { operator: string; names: string[]; limit: number | null };

export interface HeaderMutation {
  /** In order. `overwrite` is Envoy's OVERWRITE_IF_EXISTS_OR_ADD, `append` APPEND_IF_EXISTS_OR_ADD, `addIfAbsent` ADD_IF_ABSENT. */
  set: {
    name: string;
    value: string;
    mode: "append" | "overwrite" | "addIfAbsent";
    /** What the value is made of for each request, in the place of {@link value}; absent: it is always the same. */
    format?: HeaderFormatPart[];
  }[];
  remove: string[];
}

export interface RetryConfig {
  /** Envoy's names: `5xx`, `gateway-error`, `reset`, `connect-failure`, `refused-stream`, `retriable-4xx`, `retriable-status-codes`, `retriable-headers`, `envoy-ratelimited`, gRPC's `cancelled`, `unavailable` … */
  retryOn: string[];
  numRetries: number;
  /** 0: as long as the whole timeout. */
  perTryTimeout: number;
  retriableStatusCodes: number[];
  backOffBase: number;
  backOffMax: number;
  /** The previous_hosts predicate: a retry prefers a host that has not been tried. */
  avoidPreviousHosts: boolean;
  hostSelectionMaxAttempts: number;
  /**
   * The previous_priorities predicate: after so many attempts, and as many more, the priorities of the hosts tried so far
   * are left out; absent: they are not.
   */
  leavePrioritiesEvery?: number;
}

export interface RateLimitConfig {
  /** Distinguishes the bucket from the proxy's others: requests that share it are limited together. */
  key: string;
  bucket: BucketConfig;
  status: number;
  /** Share of the requests that take tokens, and of those without one that are answered. */
  enabled: Fraction;
  enforced: Fraction;
  /** Added to the answer. */
  responseHeaders: HeaderMutation["set"];
  /** Whether each connection of a caller has a bucket of its own; absent: all share one. */
  perConnection?: boolean;
  /** Whether gRPC callers are told RESOURCE_EXHAUSTED; absent: UNAVAILABLE. */
  resourceExhausted?: boolean;
  /** Whether responses carry `x-ratelimit-limit`, `-remaining` and `-reset`. */
  headers: boolean;
}

/** A route's policy for requests from other origins. Header values are written as they stand here; empty: none. */
export interface CorsConfig {
  origins: StringMatcher[];
  methods: string;
  headers: string;
  exposeHeaders: string;
  /** Seconds, as text. */
  maxAge: string;
  credentials: boolean;
  /** Whether browsers of public pages may be led to private addresses. */
  privateNetwork: boolean;
  /** Preflights of origins that are not allowed go to the upstream; else they are answered without a permission. */
  forwardUnmatchedPreflights: boolean;
  /** Share of the requests that the policy is for; `null`: all. */
  enabled: Fraction | null;
}

export interface FaultConfig {
  delay: { duration: number; percentage: Fraction } | null;
  abort: { httpStatus: number; grpcStatus: number | null; percentage: Fraction } | null;
}

// ----------------------------------------------------------------------------------------------------- clusters

export interface ClusterConfig {
  name: string;
  /**
   * How {@link EndpointsConfig} comes: with the cluster, from the control plane, from the main thread's DNS, or from that
   * for the hosts that requests are for.
   */
  type: "static" | "eds" | "dns" | "dynamic";
  /** Of type `dynamic`. */
  dynamic?: DynamicHostsConfig;
  lbPolicy: "ROUND_ROBIN" | "LEAST_REQUEST" | "RANDOM" | "RING_HASH" | "MAGLEV";
  /** Of LEAST_REQUEST: hosts drawn to compare, and how strongly load counts against a host's weight; absent: 2 and 1. */
  leastRequest?: { choiceCount: number; activeRequestBias: number };
  /** Of ROUND_ROBIN and LEAST_REQUEST: new hosts come to their weight bit by bit; the window is in milliseconds. */
  slowStart?: { window: number; aggression: number; minimumWeightPercent: number };
  /** Of RING_HASH. */
  ringHash?: { minimumSize: number; maximumSize: number; hashFunction: "XX_HASH" | "MURMUR_HASH_2" };
  /** Of RING_HASH and MAGLEV: percent of the average of active requests that one host may have; absent: any. */
  hashBalanceFactor?: number;
  /** Size of MAGLEV's table, a prime number. */
  maglevTableSize?: number;
  connectTimeout: number;
  /** First entry whose labels are all in the endpoint's `transportSocketMatch` is taken; none: {@link tls}. */
  transportSocketMatches: {
    match: Record<string, string>;
    tls: UpstreamTlsConfig | null;
    proxyProtocol?: ProxyProtocolVersion;
  }[];
  tls: UpstreamTlsConfig | null;
  /** The host that an HTTP request is for is the server name of TLS, in the place of the one in {@link tls}. */
  autoSni?: boolean;
  /** The host that an HTTP request is for must be among the names of the certificate. */
  autoSanValidation?: boolean;
  /** Version of the PROXY protocol's header that goes before everything else; absent: none. */
  proxyProtocol?: ProxyProtocolVersion;
  circuitBreakers: {
    maxConnections: number;
    maxPendingRequests: number;
    maxRequests: number;
    maxRetries: number;
    /** Where it is set it stands in the place of `maxRetries`; absent: it is not. */
    retryBudget?: RetryBudget;
  };
  /** 0: no limit. */
  maxRequestsPerConnection: number;
  /** How long an idle pooled connection is kept. */
  idleTimeout: number;
  /** How long an attempt may take, the response's body included; absent: no limit. */
  maxStreamDuration?: number;
  /** A connection this old takes no more requests; absent: no limit. */
  maxConnectionDuration?: number;
  /**
   * Set where the hosts speak HTTP/2: on plaintext connections by prior knowledge, under TLS as ALPN offers it. At most
   * this many streams a connection, fewer where the host says so.
   */
  http2?: { maxConcurrentStreams: number; keepalive?: Http2Keepalive };
  /** Whether {@link http2} is for callers of HTTP/2 only, and the others' requests go out as HTTP/1.1; absent: no. */
  usesDownstreamProtocol?: boolean;
  /** Envoy's healthy_panic_threshold in percent; where it is set it goes before {@link EndpointsConfig.panicThreshold}. */
  panicThreshold?: number;
  /** Whether the weights of localities decide how load spreads among those of a priority; absent: they do not. */
  localityWeighted?: boolean;
  tcpKeepalive: { probes: number; time: number; interval: number } | null;
  outlierDetection: OutlierDetectionConfig | null;
  /** Active health checks; absent: none. */
  healthCheck?: HealthCheckConfig;
  /** Labels of the destination service for metrics: from Istio's `filter_metadata.istio.services`. */
  service: { host: string; name: string; namespace: string };
  /** First of {@link SharedLayout.clusterSlotLength} counters in shared memory, given by the main thread. */
  slot: number;
}

export type ProxyProtocolVersion = "V1" | "V2";

/** A PING goes out every `interval`; where none is answered for `timeout`, the connection is given up. */
export interface Http2Keepalive {
  interval: number;
  timeout: number;
  /** Up to this much of the interval more, at random. */
  jitterPercent: number;
}

export interface UpstreamTlsConfig extends TlsSettings, PeerRequirements {
  /** Name of the secret with the client certificate; empty: none is sent. */
  certificate: string;
  /** Name of the secret with the trust bundle; empty: the peer is not verified. */
  trustBundle: string;
  sni: string;
  alpn: string[];
  /** Absent: 1.2, Envoy's default. */
  minimumVersion?: "1.2" | "1.3";
  /** Absent: 1.3. */
  maximumVersion?: "1.2" | "1.3";
  /** Whether sessions with a host are resumed; absent: yes. */
  sessionResumption?: boolean;
}

export interface OutlierDetectionConfig {
  /** 0: off. */
  consecutive5xx: number;
  consecutiveGatewayFailure: number;
  splitExternalLocalOriginErrors: boolean;
  consecutiveLocalOriginFailure: number;
  interval: number;
  baseEjectionTime: number;
  maxEjectionTime: number;
  maxEjectionPercent: number;
  /** Statuses that count as errors, in the place of 500 and above; absent: those. */
  errorStatuses?: number[];
  /** Percent of the findings of each detector by number that lead to an ejection; absent: 100. */
  enforcingConsecutive5xx?: number;
  enforcingConsecutiveGatewayFailure?: number;
  enforcingConsecutiveLocalOriginFailure?: number;
  /** Up to so much longer is an ejection, at random; absent: 0. */
  maxEjectionTimeJitter?: number;
  /** Whether one host may be ejected whatever {@link maxEjectionPercent} says; absent: it may. */
  alwaysEjectOneHost?: boolean;
  /** Whether an ejected host comes back as soon as it passes its active health check; absent: it does. */
  healthCheckUnejects?: boolean;
  /** Hosts that succeed less often than the others; absent: off. */
  successRate?: EnforcedPercent & { minimumHosts: number; requestVolume: number; stdevFactor: number };
  /** Hosts that fail too often; absent: off. */
  failurePercentage?: EnforcedPercent & { minimumHosts: number; requestVolume: number; threshold: number };
}

/** Percent of a detector's findings that lead to an ejection, by what it has counted. */
interface EnforcedPercent {
  enforcing: number;
  enforcingLocalOrigin: number;
}

/** The endpoints of one cluster, by priority. */
export interface EndpointsConfig {
  cluster: string;
  localities: {
    priority: number;
    locality: string;
    weight: number;
    endpoints: EndpointConfig[];
  }[];
  /** Envoy's healthy_panic_threshold in percent; 50 by default, 0 switches panic off. */
  panicThreshold: number;
  /** Percent; absent: 140, Envoy's default. */
  overprovisioningFactor?: number;
  /** Of a `dynamic` cluster: `name port` of hosts whose names have no address at the moment. */
  unresolved?: string[];
}

export interface EndpointConfig {
  /** IP address, or a Unix socket's path with port 0. */
  address: string;
  port: number;
  weight: number;
  healthy: boolean;
  transportSocketMatch: Record<string, string>;
  /** Set where it stays one host, with its connections, whatever address its name has at the moment (LOGICAL_DNS). */
  logicalName?: string;
  /** How its health is checked where that differs; absent: as the cluster says. `port` 0: the cluster's. */
  healthCheck?: { port: number; hostname: string; disabled: boolean };
  /** What the host's places in hash tables depend on; absent: address and port. */
  hashKey?: string;
  /** For metrics; fields may be empty. */
  workload: WorkloadLabels;
  /** First of {@link SharedLayout.hostSlotLength} counters in shared memory, given by the main thread. */
  slot: number;
}

// ------------------------------------------------------------------------------------------------------ secrets

export interface SecretConfig {
  /** As `secret_names.ts` has them. */
  name: string;
  /** PEM, leaf first; empty for a trust bundle. */
  certificateChain: string;
  privateKey: string;
  /** PEM; empty for a certificate. */
  trustBundle: string;
  /** PEM, revocation lists that go with the trust bundle; absent: nothing is held against any. */
  crl?: string;
}

// ---------------------------------------------------------------------------------- main thread → data thread

/**
 * Messages on the control channel (a socketpair: 4 bytes of little-endian length, then JSON). A data thread applies
 * each one whole between two turns of its loop, so a request sees one configuration, and answers `applied`.
 */
export type ControlMessage =
  | { kind: "proxy"; id: number; description: ProxyDescription }
  | { kind: "removeProxy"; id: number; proxy: string }
  | { kind: "secret"; id: number; proxy: string; secret: SecretConfig }
  /** Nothing in force names these any more. */
  | { kind: "removeSecrets"; id: number; proxy: string; names: string[] }
  | {
    kind: "resources";
    id: number;
    proxy: string;
    clusters: ClusterConfig[];
    removedClusters: string[];
    endpoints: EndpointsConfig[];
    routes: RouteConfig[];
    removedRoutes: string[];
    listeners: ListenerConfig[];
    removedListeners: string[];
  }
  /** Stop accepting, answer with `connection: close`, end when the last request is done or `timeout` is over. */
  | { kind: "drain"; id: number; timeout: number };

/** `workerData` of a data thread: the first and only message it takes from `postMessage`. */
export interface DataThreadStart {
  kind: "start";
  index: number;
  limits: ThreadLimits;
  /** This thread's end of the control socketpair. */
  controlDescriptor: number;
  /** Counters that all threads share: see `agent/config/shared_memory.ts`. */
  shared: SharedArrayBuffer;
  /** This thread's own metric values: see `agent/config/shared_memory.ts`. */
  metrics: SharedArrayBuffer;
  /** Unix milliseconds from which `HostSlot.ejectedUntil` counts: the same for all threads. */
  startedAt: number;
}

// ---------------------------------------------------------------------------------- data thread → main thread

/** Sent by `postMessage` from a data thread. */
export type DataThreadMessage =
  | { kind: "started" }
  | { kind: "applied"; id: number; errors: string[] }
  /** A new time series: its values stand in this thread's metric memory from `slot` on. */
  | { kind: "series"; slot: number; metric: MetricName; labels: Record<string, string> }
  | {
    kind: "log";
    level: "debug" | "info" | "warn" | "error";
    message: string;
    fields: Record<string, string | number>;
  }
  /** Requests are for this host of a `dynamic` cluster. */
  | { kind: "resolve"; proxy: string; cluster: string; name: string; port: number }
  | { kind: "drained" };

export type MetricName =
  | "istio_requests_total"
  | "istio_request_duration_milliseconds"
  | "istio_request_bytes"
  | "istio_response_bytes"
  | "istio_tcp_connections_opened_total"
  | "istio_tcp_connections_closed_total"
  | "istio_tcp_sent_bytes_total"
  | "istio_tcp_received_bytes_total";
