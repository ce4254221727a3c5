/** Which settings of a DestinationRule hold for one port and one subset. */
import type {
  ClientTLSSettings,
  ConnectionPoolSettings,
  LoadBalancerSettings,
  OutlierDetection,
  PortTrafficPolicy,
  RetryBudget,
  TrafficPolicy,
} from "../istio/types.ts";

/** The settings in force for one cluster. */
export interface EffectivePolicy {
  loadBalancer?: LoadBalancerSettings;
  connectionPool?: ConnectionPoolSettings;
  outlierDetection?: OutlierDetection;
  tls?: ClientTLSSettings;
  retryBudget?: RetryBudget;
  proxyProtocol?: TrafficPolicy["proxyProtocol"];
  tunnel?: TrafficPolicy["tunnel"];
}

/**
 * Joins the rule's policy and the subset's for a port, as Istio's MergeSubsetTrafficPolicy does.
 *
 * At each level a setting for the port replaces all four settings of its level and those below: what it leaves out
 * falls back to the default, not to the level's value. A subset's setting replaces the rule's setting of that name.
 */
export function effectivePolicy(
  rule: TrafficPolicy | undefined,
  subset: TrafficPolicy | undefined,
  port: number,
): EffectivePolicy {
  const policy = override(override({}, rule, port), subset, port);
  // There are none for a port, so that none takes their place.
  return {
    ...policy,
    retryBudget: subset?.retryBudget ?? rule?.retryBudget,
    proxyProtocol: subset?.proxyProtocol ?? rule?.proxyProtocol,
    tunnel: subset?.tunnel ?? rule?.tunnel,
  };
}

function override(base: EffectivePolicy, policy: TrafficPolicy | undefined, port: number): EffectivePolicy {
  if (policy === undefined) return base;
  const ofPort = policy.portLevelSettings?.find((settings) => settings.port?.number === port);
  return ofPort === undefined ? settingsOver(base, policy) : settingsOver({}, ofPort);
}

function settingsOver(base: EffectivePolicy, policy: Omit<PortTrafficPolicy, "port">): EffectivePolicy {
  return {
    loadBalancer: policy.loadBalancer ?? base.loadBalancer,
    connectionPool: policy.connectionPool ?? base.connectionPool,
    outlierDetection: policy.outlierDetection ?? base.outlierDetection,
    tls: policy.tls ?? base.tls,
  };
}
