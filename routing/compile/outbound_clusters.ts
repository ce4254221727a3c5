/** The clusters by which workloads reach one service: one for each port, and one more for each subset. */
import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { parseDuration } from "../istio/duration.ts";
import type { ClientTLSSettings, DestinationRule, LoadBalancerSettings } from "../istio/types.ts";
import type { MeshSettings, Protocol, Service, ServicePort } from "../mesh.ts";
import {
  type Cluster,
  Cluster_DiscoveryType,
  Cluster_LbPolicy,
  ClusterSchema,
} from "../xds/gen/envoy/config/cluster/v3/cluster_pb.ts";
import type { TransportSocket } from "../xds/gen/envoy/config/core/v3/base_pb.ts";
import { clusterName, serverName } from "../xds/names.ts";
import { connectionPoolFields, httpVersion } from "./connection_pool.ts";
import { hashingFields } from "./consistent_hash.ts";
import type { RuleSet } from "./destination_rules.ts";
import { dnsDiscovery, isResolvedByProxies } from "./dns_cluster.ts";
import { dynamicDiscovery, goesByAuthority } from "./dynamic_forward_proxy.ts";
import { inlineEndpoints } from "./endpoints.ts";
import { serviceIdentities } from "./identity.ts";
import { outlierDetection } from "./outlier_detection.ts";
import { isLocalityWeighted, localityLbSetting } from "./locality.ts";
import { isHttp } from "./protocol.ts";
import { type EffectivePolicy, effectivePolicy } from "./traffic_policy.ts";
import {
  ADS,
  autoMutualTls,
  RAW_BUFFER,
  upstreamMutualTls,
  upstreamTls,
  withProxyProtocol,
} from "./transport_socket.ts";
import type { CompileWarning } from "./warning.ts";

/** Compiled clusters of one service under one set of rules, by name. */
export interface ServiceClusters {
  clusters: ReadonlyMap<string, Cluster>;
  warnings: readonly CompileWarning[];
}

const compiled = new WeakMap<Service, WeakMap<RuleSet, Map<string, ServiceClusters>>>();

/**
 * The clusters of a service, compiled once for the same service, rules and settings: whoever asks again, for another
 * client or another state of the mesh, gets the same objects.
 */
export function outboundClusters(service: Service, rules: RuleSet, settings: MeshSettings): ServiceClusters {
  let byRules = compiled.get(service);
  if (byRules === undefined) compiled.set(service, byRules = new WeakMap());
  let bySettings = byRules.get(rules);
  if (bySettings === undefined) byRules.set(rules, bySettings = new Map());
  const key = JSON.stringify([
    settings.connectTimeout,
    settings.tcpKeepalive,
    settings.trustDomain,
    settings.localityLbSetting,
    settings.dnsRefreshRate,
    settings.h2UpgradePolicy,
  ]);
  let clusters = bySettings.get(key);
  if (clusters === undefined) bySettings.set(key, clusters = compile(service, rules, settings));
  return clusters;
}

function compile(service: Service, rules: RuleSet, settings: MeshSettings): ServiceClusters {
  const clusters = new Map<string, Cluster>();
  const warnings: CompileWarning[] = [];
  const identities = serviceIdentities(service, settings.trustDomain);
  for (const port of service.ports) {
    for (const subset of ["", ...rules.subsets.keys()]) {
      const name = clusterName("outbound", port.number, subset, service.hostname);
      clusters.set(name, compileCluster(name, { service, port, subset, rules, settings, identities }));
    }
  }
  return { clusters, warnings };
}

interface ClusterInput {
  service: Service;
  port: ServicePort;
  subset: string;
  rules: RuleSet;
  settings: MeshSettings;
  identities: readonly string[];
}

function compileCluster(name: string, input: ClusterInput): Cluster {
  const { service, port, rules, settings } = input;
  const subset = rules.subsets.get(input.subset);
  const rule = subset?.rule ?? rules.rules.find((candidate) => candidate.spec.trafficPolicy === rules.trafficPolicy);
  const policy = effectivePolicy(rules.trafficPolicy, subset?.subset.trafficPolicy, port.number);
  const version = httpVersion(port.protocol, policy.connectionPool, settings.h2UpgradePolicy);
  return create(ClusterSchema, {
    name,
    ...loadBalancing(policy.loadBalancer),
    ...discovery(name, input, policy),
    ...connectionPoolFields(policy, settings, {
      version,
      ...namesByAuthority(policy.tls, port.protocol),
    }),
    outlierDetection: policy.outlierDetection === undefined ? undefined : outlierDetection(policy.outlierDetection),
    // Endpoints known to be unhealthy are sent too, so panic routing to them stays off unless a rule asks for it.
    commonLbConfig: {
      healthyPanicThreshold: { value: policy.outlierDetection?.minHealthPercent ?? 0 },
      localityConfigSpecifier: goesByAuthority(service) ? undefined : localityConfig(policy, settings),
    },
    ...proxied(transportSocketFields(input, policy, version === "HTTP/2" ? "HTTP2" : port.protocol), policy),
    metadata: { filterMetadata: { istio: istioMetadata(input, rule) } },
  });
}

function discovery(
  name: string,
  { service, port, subset, rules, settings }: ClusterInput,
  { tls }: EffectivePolicy,
) {
  if (goesByAuthority(service)) {
    const { autoSni = false, autoSanValidation = false } = namesByAuthority(tls, port.protocol);
    return dynamicDiscovery(settings, autoSni && autoSanValidation);
  }
  if (isResolvedByProxies(service)) {
    return dnsDiscovery(service, settings, inlineEndpoints(service, rules, { name, subset, port: port.number }));
  }
  return {
    clusterDiscoveryType: { case: "type" as const, value: Cluster_DiscoveryType.EDS },
    edsClusterConfig: { edsConfig: ADS, serviceName: name },
  };
}

interface TransportSocketFields {
  transportSocket?: TransportSocket;
  transportSocketMatches?: ReturnType<typeof autoMutualTls>;
}

/** The same sockets, each behind the header of the PROXY protocol where the policy wants one. */
function proxied(fields: TransportSocketFields, { proxyProtocol }: EffectivePolicy): TransportSocketFields {
  if (proxyProtocol === undefined) return fields;
  const { version = "V1" } = proxyProtocol;
  const { transportSocket, transportSocketMatches } = fields;
  if (transportSocketMatches === undefined) {
    return { transportSocket: withProxyProtocol(transportSocket ?? RAW_BUFFER, version) };
  }
  return {
    transportSocketMatches: transportSocketMatches.map((match) => ({
      ...match,
      transportSocket: withProxyProtocol(match.transportSocket, version),
    })),
  };
}

/** @param protocol what connections speak */
function transportSocketFields(
  { service, port, subset, identities }: ClusterInput,
  { tls }: EffectivePolicy,
  protocol: Protocol,
): TransportSocketFields {
  if (tls?.mode === "DISABLE") return {};
  const mutualTls = (sni: string | undefined, subjectAltNames: readonly string[] | undefined) =>
    upstreamMutualTls({
      sni: sni || serverName(port.number, subset, service.hostname),
      subjectAltNames: subjectAltNames?.length ? subjectAltNames : identities,
      protocol,
    });
  if (tls?.mode === "ISTIO_MUTUAL") return { transportSocket: mutualTls(tls.sni, tls.subjectAltNames) };
  if (tls?.mode === "SIMPLE" || tls?.mode === "MUTUAL") return { transportSocket: upstreamTls(tls, protocol) };
  if (service.location === "MESH_EXTERNAL") return {};
  return { transportSocketMatches: autoMutualTls(mutualTls(undefined, undefined)) };
}

/** Of HTTP: where a rule names no server, the host that a request is for is it. */
function namesByAuthority(
  tls: ClientTLSSettings | undefined,
  protocol: Protocol,
): { autoSni?: boolean; autoSanValidation?: boolean } {
  if ((tls?.mode !== "SIMPLE" && tls?.mode !== "MUTUAL") || !isHttp(protocol)) return {};
  return {
    autoSni: !tls.sni,
    autoSanValidation: !tls.subjectAltNames?.length && tls.insecureSkipVerify !== true,
  };
}

function istioMetadata({ service, port, subset }: ClusterInput, rule: DestinationRule | undefined) {
  const { namespace, name } = rule?.metadata ?? {};
  return {
    services: [{ host: service.hostname, name: service.name, namespace: service.namespace }],
    default_original_port: port.number,
    ...(subset === "" ? {} : { subset }),
    ...(rule === undefined
      ? {}
      : { config: `/apis/${rule.apiVersion}/namespaces/${namespace}/destination-rule/${name}` }),
  };
}

function localityConfig({ loadBalancer, outlierDetection }: EffectivePolicy, settings: MeshSettings) {
  const setting = localityLbSetting(loadBalancer, settings);
  if (!isLocalityWeighted(setting, outlierDetection !== undefined)) return undefined;
  return { case: "localityWeightedLbConfig" as const, value: {} };
}

function loadBalancing(settings: LoadBalancerSettings | undefined) {
  if (settings?.consistentHash !== undefined) return hashingFields(settings.consistentHash);
  const policy = lbPolicy(settings);
  const slowStartConfig = slowStart(settings);
  if (slowStartConfig === undefined) return { lbPolicy: policy };
  return policy === Cluster_LbPolicy.ROUND_ROBIN
    ? { lbPolicy: policy, lbConfig: { case: "roundRobinLbConfig" as const, value: { slowStartConfig } } }
    : { lbPolicy: policy, lbConfig: { case: "leastRequestLbConfig" as const, value: { slowStartConfig } } };
}

function slowStart({ warmup, warmupDurationSecs }: LoadBalancerSettings = {}) {
  const window = warmup?.duration ?? warmupDurationSecs;
  if (window === undefined) return undefined;
  const { aggression, minimumPercent } = warmup ?? {};
  return {
    slowStartWindow: durationFromMs(parseDuration(window)),
    // Envoy refuses a value without the key by which its runtime could change it.
    aggression: aggression === undefined
      ? undefined
      : { defaultValue: aggression, runtimeKey: "upstream.slow_start.aggression" },
    minWeightPercent: minimumPercent === undefined ? undefined : { value: minimumPercent },
  };
}

function lbPolicy(settings: LoadBalancerSettings | undefined): Cluster_LbPolicy {
  switch (settings?.simple) {
    case "ROUND_ROBIN":
      return Cluster_LbPolicy.ROUND_ROBIN;
    case "RANDOM":
      return Cluster_LbPolicy.RANDOM;
    default:
      return Cluster_LbPolicy.LEAST_REQUEST;
  }
}
