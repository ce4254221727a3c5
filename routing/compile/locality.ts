/**
 * Istio's locality load balancing: which endpoints a client prefers by where it runs, as priorities and weights of
 * the load assignment (https://istio.io/latest/docs/reference/config/networking/destination-rule/#LocalityLoadBalancerSetting).
 */
import type { LoadBalancerSettings, LocalityLbSetting } from "../istio/types.ts";
import type { MeshSettings } from "../mesh.ts";
import type { Client, RuleSet } from "./destination_rules.ts";
import { effectivePolicy } from "./traffic_policy.ts";

/** Endpoints of one locality with one priority. */
export interface LocalityGroup<Member> {
  /** `region/zone/subzone`, or empty. */
  locality: string;
  members: readonly Member[];
  weight: number;
  /** 0 is the most preferred; there are no gaps. */
  priority: number;
}

interface Located {
  labels: Record<string, string>;
  weight: number;
}

/** How one client prefers the endpoints of one cluster. */
export interface LocalityPreference {
  locality: string;
  /** The client's labels; empty unless the setting asks for labels. */
  labels: Record<string, string>;
  setting: LocalityLbSetting;
}

/** The setting in force, the rule's before the mesh's; `null` where it is switched off. */
export function localityLbSetting(
  loadBalancer: LoadBalancerSettings | undefined,
  settings: MeshSettings,
): LocalityLbSetting | null {
  const setting = loadBalancer?.localityLbSetting ?? settings.localityLbSetting ?? {};
  return setting.enabled === false ? null : setting;
}

/**
 * Whether localities have weights that count: where a rule distributes load, or names failover that outlier detection
 * lets take place.
 */
export function isLocalityWeighted(setting: LocalityLbSetting | null, detectsOutliers: boolean): boolean {
  if (setting === null) return false;
  const failsOver = setting.failover !== undefined || setting.failoverPriority !== undefined;
  return setting.distribute !== undefined || (detectsOutliers && failsOver);
}

/** `null` where the client's locality makes no difference: without outlier detection no endpoint would ever fail over. */
export function localityPreference(
  rules: RuleSet,
  subset: string,
  port: number,
  settings: MeshSettings,
  client: Client | undefined,
): LocalityPreference | null {
  const policy = effectivePolicy(rules.trafficPolicy, rules.subsets.get(subset)?.subset.trafficPolicy, port);
  const setting = localityLbSetting(policy.loadBalancer, settings);
  if (setting === null || client === undefined) return null;
  if (setting.distribute === undefined && policy.outlierDetection === undefined) return null;
  const byLabels = setting.failoverPriority !== undefined;
  return { locality: client.locality ?? "", labels: byLabels ? client.labels : {}, setting };
}

/** The groups with the priorities and weights that the client gives them. */
export function preferNear<Member extends Located>(
  groups: readonly LocalityGroup<Member>[],
  { locality, labels, setting }: LocalityPreference,
): LocalityGroup<Member>[] {
  if (setting.distribute !== undefined) return distribute(groups, locality, setting.distribute);
  if (!setting.failoverPriority?.length) return withoutGaps(failOver(groups, locality, setting.failover ?? []));
  const client = withTopology(labels, locality);
  const prioritized = groups.flatMap((group) => splitByLabels(group, client, setting.failoverPriority!));
  if (!setting.failover?.length) return withoutGaps(prioritized);
  return withoutGaps(failOver(withoutGaps(prioritized), locality, setting.failover));
}

/** The first rule for the client's locality gives the localities that it names their weights, and the others nothing. */
function distribute<Member>(
  groups: readonly LocalityGroup<Member>[],
  locality: string,
  rules: NonNullable<LocalityLbSetting["distribute"]>,
): LocalityGroup<Member>[] {
  const rule = rules.find(({ from }) => matches(locality, from ?? ""));
  if (rule === undefined) return [...groups];
  const targets = Object.entries(rule.to ?? {});
  const targetOf = new Map(groups.map((group) => [group, targets.findIndex(([to]) => matches(group.locality, to))]));
  return groups.map((group) => {
    const target = targetOf.get(group)!;
    if (target < 0) return { ...group, members: [] };
    // Localities that one name covers share its weight by their own.
    const sharing = sumOfWeights(groups.filter((other) => targetOf.get(other) === target));
    return { ...group, weight: Math.ceil(group.weight * targets[target][1] / sharing) };
  });
}

/** Envoy's priorities from nearness: the same subzone, zone, region, then the region to fail over to, then the rest. */
function failOver<Member>(
  groups: readonly LocalityGroup<Member>[],
  locality: string,
  rules: NonNullable<LocalityLbSetting["failover"]>,
): LocalityGroup<Member>[] {
  const [region] = parts(locality);
  const rule = rules.find(({ from }) => from === region);
  return groups.map((group) => {
    let distance = distanceOf(locality, group.locality);
    if (distance === 3 && rule !== undefined && parts(group.locality)[0] !== rule.to) distance = 4;
    // Up to five distances within each priority that labels have given.
    return { ...group, priority: group.priority * 5 + distance };
  });
}

function splitByLabels<Member extends Located>(
  group: LocalityGroup<Member>,
  client: Record<string, string>,
  priorityLabels: readonly string[],
): LocalityGroup<Member>[] {
  const wanted = priorityLabels.map((text): [string, string | undefined] => {
    const [label, value] = text.split("=", 2);
    return [label, value ?? client[label]];
  });
  const byPriority = Map.groupBy(group.members, (member) => {
    const labels = withTopology(member.labels, group.locality);
    const differing = wanted.findIndex(([label, value]) => (value ?? "") !== (labels[label] ?? ""));
    return differing < 0 ? 0 : wanted.length - differing;
  });
  return [...byPriority].sort(([one], [other]) => one - other).map(([priority, members]) => ({
    locality: group.locality,
    members,
    weight: sumOfWeights(members),
    priority,
  }));
}

/** Priorities from 0 on without skipping any, in the same order. */
function withoutGaps<Member>(groups: readonly LocalityGroup<Member>[]): LocalityGroup<Member>[] {
  const priorities = [...new Set(groups.map(({ priority }) => priority))].sort((one, other) => one - other);
  return groups.map((group) => ({ ...group, priority: priorities.indexOf(group.priority) }));
}

/** The labels by which Istio lets failover priorities name localities. */
function withTopology(labels: Record<string, string>, locality: string): Record<string, string> {
  const [region, zone, subzone] = parts(locality);
  return {
    ...(region === "" ? {} : { "topology.kubernetes.io/region": region }),
    ...(zone === "" ? {} : { "topology.kubernetes.io/zone": zone }),
    ...(subzone === "" ? {} : { "topology.istio.io/subzone": subzone }),
    ...labels,
  };
}

function distanceOf(one: string, other: string): number {
  const [region, zone, subzone] = parts(one);
  const [otherRegion, otherZone, otherSubzone] = parts(other);
  if (region !== otherRegion) return 3;
  if (zone !== otherZone) return 2;
  return subzone === otherSubzone ? 0 : 1;
}

/** Whether a locality is covered by one of a rule, where `*` and what is left out stand for any. */
function matches(locality: string, rule: string): boolean {
  const [region, zone, subzone] = parts(locality);
  const [ruleRegion, ruleZone, ruleSubzone] = parts(rule);
  return (ruleRegion === "*" || ruleRegion === region) &&
    (ruleZone === "*" || ruleZone === "" || ruleZone === zone) &&
    (ruleSubzone === "*" || ruleSubzone === "" || ruleSubzone === subzone);
}

function parts(locality: string): [string, string, string] {
  const [region = "", zone = "", ...subzone] = locality.split("/");
  return [region, zone, subzone.join("/")];
}

/** The weight of a group is that of its members together. */
export function sumOfWeights(members: readonly { weight: number }[]): number {
  return members.reduce((sum, { weight }) => sum + weight, 0);
}
