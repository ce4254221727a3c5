/** One rule of an AuthorizationPolicy as a policy of Envoy's RBAC, as istiod makes it. */
import { create } from "@bufbuild/protobuf";
import type { AuthorizationOperation, AuthorizationRule, AuthorizationSource } from "../../istio/security_types.ts";
import {
  type Permission,
  type Policy,
  PolicySchema,
  type Principal,
} from "../../xds/gen/envoy/config/rbac/v3/rbac_pb.ts";
import { type Attribute, conditionAttribute, operations, type RuleScope, sources } from "./attributes.ts";
import { type Logic, permissions, principals } from "./rbac_messages.ts";

/** Values of one attribute: one of them must hold, and none of the others. */
interface Values<Message> {
  attribute: Attribute<Message>;
  values: readonly string[];
  notValues: readonly string[];
}

/** What comes of a value that cannot be known here: the rule never matches, or that part of it is left out. */
export type Unknown = "neverMatches" | "isLeftOut";

/** `null`: the rule can never match. */
export function rulePolicy(rule: AuthorizationRule, scope: RuleScope, unknown: Unknown): Policy | null {
  const ofRequest: Values<Permission>[] = [];
  const ofSource: Values<Principal>[] = [];
  for (const { key, values = [], notValues = [] } of rule.when ?? []) {
    const attribute = conditionAttribute(key);
    if ("permission" in attribute) ofRequest.push({ attribute: attribute.permission, values, notValues });
    else ofSource.push({ attribute: attribute.principal, values, notValues });
  }
  const to = (rule.to ?? [{}]).map(({ operation = {} }) =>
    all([...operationValues(operation), ...ofRequest], permissions, scope, unknown)
  );
  const from = (rule.from ?? [{}]).map(({ source = {} }) =>
    all([...sourceValues(source), ...ofSource], principals, scope, unknown)
  );
  const permissionList = to.filter((each) => each !== null);
  const principalList = from.filter((each) => each !== null);
  // As in istiod, one alternative that cannot be known takes the whole rule along where it admits.
  if (permissionList.length < to.length || principalList.length < from.length) return null;
  return create(PolicySchema, { permissions: permissionList, principals: principalList });
}

/** A rule that matches nothing: an ALLOW policy without rules. */
export const neverMatching: Policy = create(PolicySchema, {
  permissions: [permissions.not(permissions.any)],
  principals: [principals.not(principals.any)],
});

function all<Message>(
  parts: readonly Values<Message>[],
  logic: Logic<Message>,
  scope: RuleScope,
  unknown: Unknown,
): Message | null {
  const conditions: Message[] = [];
  for (const { attribute, values, notValues } of parts) {
    const known = (list: readonly string[]) => list.map((value) => attribute(value, scope));
    const [wanted, unwanted] = [known(values), known(notValues)];
    if (unknown === "neverMatches" && [...wanted, ...unwanted].includes(null)) return null;
    const some = wanted.filter((each) => each !== null);
    const none = unwanted.filter((each) => each !== null);
    if (some.length > 0) conditions.push(logic.some(some));
    if (none.length > 0) conditions.push(logic.not(logic.some(none)));
  }
  return conditions.length === 0 ? logic.any : logic.all(conditions);
}

function operationValues(operation: AuthorizationOperation): Values<Permission>[] {
  const { hosts, notHosts, ports, notPorts, methods, notMethods, paths, notPaths } = operation;
  return [
    both(operations.hosts, hosts, notHosts),
    both(operations.ports, ports, notPorts),
    both(operations.methods, methods, notMethods),
    both(operations.paths, paths, notPaths),
  ];
}

function sourceValues(source: AuthorizationSource): Values<Principal>[] {
  return [
    both(sources.sourceIp, source.ipBlocks, source.notIpBlocks),
    both(sources.remoteIp, source.remoteIpBlocks, source.notRemoteIpBlocks),
    both(sources.namespaces, source.namespaces, source.notNamespaces),
    both(sources.trustDomains, source.trustDomains, source.notTrustDomains),
    both(sources.serviceAccounts, source.serviceAccounts, source.notServiceAccounts),
    both(sources.principals, source.principals, source.notPrincipals),
    both(sources.token, source.requestPrincipals, source.notRequestPrincipals),
  ];
}

function both<Message>(
  attribute: Attribute<Message>,
  values: readonly string[] = [],
  notValues: readonly string[] = [],
): Values<Message> {
  return { attribute, values, notValues };
}
