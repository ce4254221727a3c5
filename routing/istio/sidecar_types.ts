/** Istio's Sidecar as users write it. Source: the Istio API reference, networking. */
import type { ConnectionPoolSettings, Destination, Resource, ServerTLSSettings } from "./types.ts";

export type Sidecar = Resource<"Sidecar", SidecarSpec>;

export interface SidecarSpec {
  /** Absent: every workload of the namespace; in the root namespace, of the mesh. */
  workloadSelector?: { labels?: Record<string, string> };
  ingress?: IstioIngressListener[];
  egress?: IstioEgressListener[];
  inboundConnectionPool?: ConnectionPoolSettings;
  outboundTrafficPolicy?: OutboundTrafficPolicy;
}

export interface OutboundTrafficPolicy {
  /** Absent: REGISTRY_ONLY, protobuf's zero. */
  mode?: "REGISTRY_ONLY" | "ALLOW_ANY";
  egressProxy?: Destination;
}

/** All but `targetPort` must be there. */
export interface SidecarPort {
  number?: number;
  protocol?: string;
  name?: string;
  targetPort?: number;
}

export type CaptureMode = "DEFAULT" | "IPTABLES" | "NONE";

export interface IstioIngressListener {
  port: SidecarPort;
  /** IP address; absent: the workload's. */
  bind?: string;
  captureMode?: CaptureMode;
  /** `127.0.0.1:8080`, `0.0.0.0:8080` (the workload's address), `unix:///path`. */
  defaultEndpoint?: string;
  tls?: ServerTLSSettings;
  connectionPool?: ConnectionPoolSettings;
}

export interface IstioEgressListener {
  /** Absent: whatever ports the services have. */
  port?: SidecarPort;
  bind?: string;
  captureMode?: CaptureMode;
  /** `namespace/dnsName`; `~namespace/dnsName` excludes. */
  hosts: string[];
}
