/**
 * What the control plane knows of the mesh at one moment, as plain data: the input of compilation.
 *
 * The registry builds it from resources and registrations; `routing/compile/` reads it and never changes it.
 */
import type { AuthorizationPolicy, PeerAuthentication, RequestAuthentication } from "./istio/security_types.ts";
import type { Sidecar } from "./istio/sidecar_types.ts";
import type { Telemetry } from "./istio/telemetry_types.ts";
import type {
  DestinationRule,
  Gateway,
  HTTPRetry,
  LocalityLbSetting,
  TcpKeepalive,
  VirtualService,
} from "./istio/types.ts";

/** Protocols as Istio names them, after protocol selection by port name and `appProtocol`. */
export type Protocol = "HTTP" | "HTTP2" | "GRPC" | "HTTPS" | "TLS" | "TCP" | "MONGO" | "UNSPECIFIED";

export interface MeshSettings {
  /** SPIFFE trust domain, `cluster.local` by default. */
  trustDomain: string;
  /** Names that the trust domain has had: principals in policies mean it by them too. */
  trustDomainAliases?: string[];
  /** Suffix of service names, `cluster.local` by default. */
  domain: string;
  /** Namespace whose rules serve the whole mesh, `istio-system` by default. */
  rootNamespace: string;
  outboundTrafficPolicy: "ALLOW_ANY" | "REGISTRY_ONLY";
  /** Milliseconds; Istio's default is 10 s. */
  connectTimeout: number;
  /** Of connections to endpoints, where no rule says otherwise; absent: none is sent. */
  tcpKeepalive?: TcpKeepalive;
  /** Where routes say nothing of retries; absent: Istio's own default. */
  defaultRetries?: HTTPRetry;
  /** Milliseconds after which proxies resolve a name anew whose records do not say; absent: 60 s, Istio's default. */
  dnsRefreshRate?: number;
  /** Milliseconds in which the first bytes of a connection must tell what it speaks; absent: 5 s. */
  protocolDetectionTimeout?: number;
  /** Where services, VirtualServices and DestinationRules are visible that do not say so themselves; absent: everywhere. */
  defaultExportTo?: { services?: string[]; virtualServices?: string[]; destinationRules?: string[] };
  /** Path of the access log of every proxy; empty: off. */
  accessLogFile: string;
  accessLogEncoding: "TEXT" | "JSON";
  /** Envoy's format string; empty: Istio's default. */
  accessLogFormat: string;
  /** By name; absent: none. */
  extensionProviders?: ReadonlyMap<string, ExtensionProvider>;
  /** Names of providers where no Telemetry names any; absent: none. */
  defaultProviders?: { accessLogging?: string[]; metrics?: string[] };
  /** How paths are spelt before rules look at them; absent: BASE, Istio's default. */
  pathNormalization?: PathNormalization;
  /** How callers prefer endpoints near them, where no rule says otherwise; absent: failover by locality, Istio's default. */
  localityLbSetting?: LocalityLbSetting;
  /** Whether callers speak HTTP/2 to ports of HTTP, where no rule says otherwise; absent: they do not. */
  h2UpgradePolicy?: "DO_NOT_UPGRADE" | "UPGRADE";
  /** What stands in front of gateways; absent: nothing. */
  gatewayTopology?: GatewayTopology;
}

/** One of MeshConfig's `extensionProviders`. */
export interface ExtensionProvider {
  /** Absent: it is of another kind. */
  fileAccessLog?: FileAccessLogProvider;
}

export interface FileAccessLogProvider {
  path: string;
  /** Envoy's format string, or names with format strings; neither: the mesh's format. */
  text?: string;
  labels?: Record<string, string>;
  /** Whether what is not there is left out, where otherwise it is a dash or null. */
  omitEmptyValues?: boolean;
}

/** `gatewayTopology` of MeshConfig's `defaultConfig`. */
export interface GatewayTopology {
  /** Proxies in front whose entries in `x-forwarded-for` count. */
  numTrustedProxies: number;
}

/** MeshConfig's `pathNormalization.normalization`; its DEFAULT is BASE. */
export type PathNormalization = "NONE" | "BASE" | "MERGE_SLASHES" | "DECODE_AND_MERGE_SLASHES";

export interface ServicePort {
  name: string;
  number: number;
  protocol: Protocol;
}

/** One host of the registry with its endpoints. */
export interface Service {
  /** Fully qualified: `reviews.default.svc.cluster.local`, or a ServiceEntry's host as it stands. */
  hostname: string;
  /** Short name: `reviews`; of a ServiceEntry, the host. */
  name: string;
  namespace: string;
  ports: ServicePort[];
  location: "MESH_INTERNAL" | "MESH_EXTERNAL";
  resolution: "NONE" | "STATIC" | "DNS" | "DNS_ROUND_ROBIN" | "DYNAMIC_DNS";
  /** Virtual addresses of a ServiceEntry; usually none. */
  addresses: string[];
  /** Namespaces that see it; `["*"]` by default. */
  exportTo: string[];
  /** Names the server's certificate must carry, beyond those that follow from service accounts. */
  subjectAltNames: string[];
  endpoints: Endpoint[];
}

/** One workload behind one service. */
export interface Endpoint {
  /** IP address that peers dial, `unix:///path`, or where the service's names are resolved by proxies a DNS name. */
  address: string;
  /** Port to dial for each service port number. For a mesh workload all are its agent's inbound port. */
  ports: Record<number, number>;
  /**
   * Where the workload is reached without mutual TLS, for each service port number; absent: at {@link ports}. They are
   * the ports that PeerAuthentication speaks of.
   */
  workloadPorts?: Record<number, number>;
  /**
   * `istio`: a mesh agent that takes mutual TLS and finds the workload by SNI (Istio's label
   * `security.istio.io/tlsMode`); `disabled`: plain.
   */
  tlsMode: "istio" | "disabled";
  labels: Record<string, string>;
  namespace: string;
  /** Service account name; with the namespace it gives the SPIFFE identity. Empty: unknown. */
  serviceAccount: string;
  /** Name of the workload, for metrics labels. */
  workload: string;
  /** `region/zone/subzone`, or empty. */
  locality: string;
  weight: number;
  healthy: boolean;
}

export interface Mesh {
  settings: MeshSettings;
  /** By hostname. Where two namespaces publish one host, the registry has decided. */
  services: Map<string, Service>;
  /** In order of precedence: oldest first, then by namespace and name. */
  virtualServices: VirtualService[];
  destinationRules: DestinationRule[];
  gateways: Gateway[];
  /** Absent: none. */
  sidecars?: Sidecar[];
  telemetries?: Telemetry[];
  /** Security policies; absent: none. */
  peerAuthentications?: PeerAuthentication[];
  requestAuthentications?: RequestAuthentication[];
  authorizationPolicies?: AuthorizationPolicy[];
  /** Hosts of ServiceEntries, by `NAMESPACE/NAME`: policies are attached by that. */
  serviceEntryHosts?: Map<string, readonly string[]>;
}
