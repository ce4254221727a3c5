/** Settings that are valid for Istio and that the data plane does not carry out: each is named in a warning. */
import type { HTTPRoute, TrafficPolicy } from "../istio/types.ts";
import type { EffectivePolicy } from "./traffic_policy.ts";

/** Paths below `trafficPolicy` of what has no effect. */
export function unsupportedPolicy(policy: EffectivePolicy, whole: TrafficPolicy | undefined): string[] {
  const { loadBalancer, connectionPool, outlierDetection } = policy;
  const http = connectionPool?.http;
  const found: [string, unknown][] = [
    ["loadBalancer.consistentHash", loadBalancer?.consistentHash],
    ["loadBalancer.localityLbSetting", loadBalancer?.localityLbSetting],
    ["loadBalancer.zoneAwareLbSetting", loadBalancer?.zoneAwareLbSetting],
    ["loadBalancer.warmup", loadBalancer?.warmup],
    ["loadBalancer.warmupDurationSecs", loadBalancer?.warmupDurationSecs],
    ["loadBalancer.simple", loadBalancer?.simple === "PASSTHROUGH" ? true : undefined],
    ["connectionPool.tcp.maxConnectionDuration", connectionPool?.tcp?.maxConnectionDuration],
    ["connectionPool.http.h2UpgradePolicy", http?.h2UpgradePolicy === "UPGRADE" ? true : undefined],
    ["connectionPool.http.useClientProtocol", http?.useClientProtocol === true ? true : undefined],
    ["connectionPool.http.maxConcurrentStreams", http?.maxConcurrentStreams],
    ["connectionPool.http.http2KeepAlive", http?.http2KeepAlive],
    ["outlierDetection.outlierDetectionHttpErrorCodes", outlierDetection?.outlierDetectionHttpErrorCodes],
    ["tunnel", whole?.tunnel],
    ["proxyProtocol", whole?.proxyProtocol],
    ["retryBudget", whole?.retryBudget],
  ];
  return found.filter(([, value]) => value !== undefined).map(([field]) => field);
}

/** Paths below an HTTP route of what has no effect. */
export function unsupportedRoute(route: HTTPRoute): string[] {
  const found: [string, unknown][] = [
    ["mirror", route.mirror],
    ["mirrors", route.mirrors],
    ["corsPolicy", route.corsPolicy],
    ["delegate", route.delegate],
    ["retries.retryRemoteLocalities", route.retries?.retryRemoteLocalities === true ? true : undefined],
    ["fault.delay.exponentialDelay", route.fault?.delay?.exponentialDelay],
    ["fault.abort.http2Error", route.fault?.abort?.http2Error],
  ];
  return found.filter(([, value]) => value !== undefined).map(([field]) => field);
}
