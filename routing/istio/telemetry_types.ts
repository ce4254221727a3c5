/** Istio's Telemetry and ProxyConfig as users write them. Source: the Istio API reference, telemetry and networking. */
import type { PolicyTarget, WorkloadSelector } from "./security_types.ts";
import type { Resource } from "./types.ts";

export type Telemetry = Resource<"Telemetry", TelemetrySpec>;

export interface TelemetrySpec extends PolicyTarget {
  tracing?: Tracing[];
  metrics?: Metrics[];
  accessLogging?: AccessLogging[];
}

/** Whose side of a request: `CLIENT` is outbound traffic and that of gateways, `SERVER` inbound. */
export type WorkloadMode = "CLIENT_AND_SERVER" | "CLIENT" | "SERVER";

/** By the names that mesh.yaml gives them, or `envoy` and `prometheus`. */
export type ProviderReference = { name: string };

export interface Tracing {
  match?: { mode?: WorkloadMode };
  providers?: ProviderReference[];
  randomSamplingPercentage?: number;
  disableSpanReporting?: boolean;
  customTags?: Record<string, CustomTag>;
  useRequestIdForTraceSampling?: boolean;
  enableIstioTags?: boolean;
  disableContextPropagation?: boolean;
}

/** Exactly one of the four. */
export interface CustomTag {
  literal?: { value: string };
  environment?: { name: string; defaultValue?: string };
  header?: { name: string; defaultValue?: string };
  formatter?: { value: string };
}

export interface Metrics {
  providers?: ProviderReference[];
  overrides?: MetricsOverrides[];
  reportingInterval?: string;
}

export interface MetricsOverrides {
  match?: { metric?: IstioMetric; customMetric?: string; mode?: WorkloadMode };
  disabled?: boolean;
  tagOverrides?: Record<string, { operation?: "UPSERT" | "REMOVE"; value?: string }>;
}

export type IstioMetric =
  | "ALL_METRICS"
  | "REQUEST_COUNT"
  | "REQUEST_DURATION"
  | "REQUEST_SIZE"
  | "RESPONSE_SIZE"
  | "TCP_OPENED_CONNECTIONS"
  | "TCP_CLOSED_CONNECTIONS"
  | "TCP_SENT_BYTES"
  | "TCP_RECEIVED_BYTES"
  | "GRPC_REQUEST_MESSAGES"
  | "GRPC_RESPONSE_MESSAGES";

export interface AccessLogging {
  match?: { mode?: WorkloadMode };
  providers?: ProviderReference[];
  disabled?: boolean;
  /** CEL. */
  filter?: { expression?: string };
}

export interface ProxyConfigSpec {
  selector?: WorkloadSelector;
  concurrency?: number;
  environmentVariables?: Record<string, string>;
  image?: { imageType?: string };
}
