/** Istio's security resources as users write them. Source: the Istio API reference, security. */
import type { Resource } from "./types.ts";

export type PeerAuthentication = Resource<"PeerAuthentication", PeerAuthenticationSpec>;
export type AuthorizationPolicy = Resource<"AuthorizationPolicy", AuthorizationPolicySpec>;
export type RequestAuthentication = Resource<"RequestAuthentication", RequestAuthenticationSpec>;

export interface WorkloadSelector {
  matchLabels?: Record<string, string>;
}

/** A Service, ServiceEntry or Gateway of the policy's namespace, by name. */
export interface PolicyTargetReference {
  group?: string;
  kind: string;
  name: string;
  namespace?: string;
}

/** Which workloads a policy is for; neither: all of its namespace. */
export interface PolicyTarget {
  selector?: WorkloadSelector;
  targetRef?: PolicyTargetReference;
  targetRefs?: PolicyTargetReference[];
}

export type MutualTlsMode = "UNSET" | "DISABLE" | "PERMISSIVE" | "STRICT";

export interface MutualTls {
  mode?: MutualTlsMode;
}

export interface PeerAuthenticationSpec {
  selector?: WorkloadSelector;
  mtls?: MutualTls;
  /** By the workload's port. */
  portLevelMtls?: Record<string, MutualTls>;
}

export interface AuthorizationPolicySpec extends PolicyTarget {
  rules?: AuthorizationRule[];
  action?: "ALLOW" | "DENY" | "AUDIT" | "CUSTOM";
  provider?: { name?: string };
}

export interface AuthorizationRule {
  from?: { source?: AuthorizationSource }[];
  to?: { operation?: AuthorizationOperation }[];
  when?: AuthorizationCondition[];
}

/** All that is written must hold; of a list one value is enough, of a `not…` list none may match. */
export interface AuthorizationSource {
  principals?: string[];
  notPrincipals?: string[];
  requestPrincipals?: string[];
  notRequestPrincipals?: string[];
  namespaces?: string[];
  notNamespaces?: string[];
  serviceAccounts?: string[];
  notServiceAccounts?: string[];
  trustDomains?: string[];
  notTrustDomains?: string[];
  ipBlocks?: string[];
  notIpBlocks?: string[];
  remoteIpBlocks?: string[];
  notRemoteIpBlocks?: string[];
}

export interface AuthorizationOperation {
  hosts?: string[];
  notHosts?: string[];
  ports?: string[];
  notPorts?: string[];
  methods?: string[];
  notMethods?: string[];
  paths?: string[];
  notPaths?: string[];
}

export interface AuthorizationCondition {
  key: string;
  values?: string[];
  notValues?: string[];
}

export interface RequestAuthenticationSpec extends PolicyTarget {
  jwtRules?: JwtRule[];
}

export interface JwtRule {
  issuer?: string;
  audiences?: string[];
  jwksUri?: string;
  jwks?: string;
  fromHeaders?: { name: string; prefix?: string }[];
  fromParams?: string[];
  fromCookies?: string[];
  outputPayloadToHeader?: string;
  forwardOriginalToken?: boolean;
  outputClaimToHeaders?: { header: string; claim: string }[];
  timeout?: string;
  spaceDelimitedClaims?: string[];
}
