/**
 * The authorization of one port of a workload: AuthorizationPolicies as Envoy's `rbac` filters, as istiod makes them,
 * one filter for what is denied and one for what is allowed.
 *
 * What this version cannot judge it does not admit: tokens are not verified, so a request that carries one where a
 * RequestAuthentication looks is denied, as is what AUDIT and CUSTOM policies are about. The names of such policies,
 * which are told in responses' details, end in {@link UNENFORCED}.
 */
import { create } from "@bufbuild/protobuf";
import type { AuthorizationPolicy, JwtRule, RequestAuthentication } from "../../istio/security_types.ts";
import type { Mesh } from "../../mesh.ts";
import { type Policy, PolicySchema, RBAC_Action, type RBACSchema } from "../../xds/gen/envoy/config/rbac/v3/rbac_pb.ts";
import type { Principal } from "../../xds/gen/envoy/config/rbac/v3/rbac_pb.ts";
import { type Filter, FilterSchema } from "../../xds/gen/envoy/config/listener/v3/listener_components_pb.ts";
import { RBACSchema as HttpRbacSchema } from "../../xds/gen/envoy/extensions/filters/http/rbac/v3/rbac_pb.ts";
import { RBACSchema as NetworkRbacSchema } from "../../xds/gen/envoy/extensions/filters/network/rbac/v3/rbac_pb.ts";
import {
  type HttpFilter,
  HttpFilterSchema,
} from "../../xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts";
import { packAny } from "../../xds/resources.ts";
import type { Warn } from "../warning.ts";
import { UNENFORCED } from "../../authorize/unenforced.ts";
import { isOfFilter } from "../../istio/schema/security/condition_key.ts";
import type { RuleScope } from "./attributes.ts";
import { neverMatching, rulePolicy } from "./authorization_rule.ts";
import { permissions, principal, principals } from "./rbac_messages.ts";
import { type PolicyWorkload, securityIndex } from "./security_index.ts";

/** Istio's annotation: the policy is tried out, and denies nothing. */
const DRY_RUN = "istio.io/dry-run";

type RbacInit = Parameters<typeof create<typeof RBACSchema>>[1] & object;

/** One filter's rules, by name. */
interface FilterRules {
  action: RBAC_Action.ALLOW | RBAC_Action.DENY;
  rules: Record<string, Policy> | null;
  shadowRules: Record<string, Policy> | null;
}

/** The HTTP filters of a port, before the router; none where no policy applies. */
export function httpAuthorization(mesh: Mesh, workload: PolicyWorkload, port: number, warn: Warn): HttpFilter[] {
  return filterRules(mesh, workload, port, true, warn).map((rules) =>
    create(HttpFilterSchema, {
      name: "envoy.filters.http.rbac",
      configType: {
        case: "typedConfig",
        value: packAny(HttpRbacSchema, create(HttpRbacSchema, fields(rules))),
      },
    })
  );
}

/** The network filters of a port that is not HTTP, before the TCP proxy. */
export function networkAuthorization(mesh: Mesh, workload: PolicyWorkload, port: number, warn: Warn): Filter[] {
  return filterRules(mesh, workload, port, false, warn).map((rules) =>
    create(FilterSchema, {
      name: "envoy.filters.network.rbac",
      configType: {
        case: "typedConfig",
        value: packAny(NetworkRbacSchema, create(NetworkRbacSchema, { ...fields(rules), statPrefix: "tcp." })),
      },
    })
  );
}

function fields({ action, rules, shadowRules }: FilterRules) {
  const message = (policies: Record<string, Policy> | null): RbacInit | undefined =>
    policies === null ? undefined : { action, policies };
  const kind = action === RBAC_Action.DENY ? "deny" : "allow";
  return {
    rules: message(rules),
    shadowRules: message(shadowRules),
    shadowRulesStatPrefix: shadowRules === null ? "" : `istio_dry_run_${kind}_`,
  };
}

function filterRules(mesh: Mesh, workload: PolicyWorkload, port: number, http: boolean, warn: Warn): FilterRules[] {
  const index = securityIndex(mesh);
  const { trustDomain, trustDomainAliases = [] } = mesh.settings;
  const deny: FilterRules = { action: RBAC_Action.DENY, rules: null, shadowRules: null };
  const allow: FilterRules = { action: RBAC_Action.ALLOW, rules: null, shadowRules: null };
  if (http) {
    for (const authentication of index.requestAuthentications(workload)) {
      const policies = tokenPolicies(authentication);
      if (Object.keys(policies).length === 0) continue;
      deny.rules = { ...deny.rules, ...policies };
      const { namespace, name } = authentication.metadata;
      const message = "tokens are not verified in this version: requests that carry one are denied";
      warn({ kind: "RequestAuthentication", namespace, name, field: "jwtRules", message });
    }
  }
  for (const policy of index.authorizationPolicies(workload)) {
    const filter = (policy.spec.action ?? "ALLOW") === "ALLOW" ? allow : deny;
    const scope = {
      namespace: policy.metadata.namespace,
      trustDomains: [trustDomain, ...trustDomainAliases],
      http,
      port,
    };
    const compiled = policiesOf(policy, scope, warn);
    if (/^(1|t|true)$/i.test(policy.metadata.annotations[DRY_RUN] ?? "")) {
      filter.shadowRules = { ...filter.shadowRules, ...compiled };
    } else filter.rules = { ...filter.rules, ...compiled };
  }
  return [deny, allow].filter(({ rules, shadowRules }) => rules !== null || shadowRules !== null);
}

function policiesOf({ metadata, spec }: AuthorizationPolicy, scope: RuleScope, warn: Warn): Record<string, Policy> {
  const { namespace, name } = metadata;
  const action = spec.action ?? "ALLOW";
  const tell = (field: string, message: string) =>
    warn({ kind: "AuthorizationPolicy", namespace, name, field, message });
  const prefix = `ns[${namespace}]-policy[${name}]-rule`;
  const rules = spec.rules ?? [];
  if (action === "ALLOW" && rules.length === 0) return { [`${prefix}[0]`]: neverMatching };
  const unenforced = action === "AUDIT" || action === "CUSTOM" ? action : null;
  if (unenforced !== null) {
    tell("action", `${unenforced} is not enforced in this version: requests that match the rules are denied`);
  }
  const compiled: Record<string, Policy> = {};
  rules.forEach((rule, index) => {
    const policy = rulePolicy(rule, scope, action === "ALLOW" ? "neverMatches" : "isLeftOut");
    const tokens = namesToken(rule);
    if (tokens) {
      const effect = action === "ALLOW" ? "the rule allows nothing" : "the rule denies as if they were not asked for";
      tell(`rules[${index}]`, `tokens are not verified in this version: ${effect}`);
    }
    const reason = unenforced ?? (tokens ? "JWT" : null);
    if (policy !== null) compiled[`${prefix}[${index}]${reason === null ? "" : `${UNENFORCED}[${reason}]`}`] = policy;
  });
  return compiled;
}

function namesToken({ from = [], when = [] }: NonNullable<AuthorizationPolicy["spec"]["rules"]>[number]): boolean {
  return when.some(({ key }) => key.startsWith("request.auth.") || isOfFilter(key)) ||
    from.some(({ source }) => [source?.requestPrincipals, source?.notRequestPrincipals].some((list) => list?.length));
}

/** Requests that carry a token where a rule looks for one. */
function tokenPolicies({ metadata, spec }: RequestAuthentication): Record<string, Policy> {
  const policies: Record<string, Policy> = {};
  spec.jwtRules?.forEach((rule, index) => {
    const name = `ns[${metadata.namespace}]-request-authentication[${metadata.name}]-rule[${index}]${UNENFORCED}[JWT]`;
    policies[name] = create(PolicySchema, {
      permissions: [permissions.any],
      principals: [principals.some(tokenPlaces(rule))],
    });
  });
  return policies;
}

/** As Envoy's `jwt_authn` looks: in the named places, else in `Authorization: Bearer` and the query's `access_token`. */
function tokenPlaces({ fromHeaders = [], fromParams = [], fromCookies = [] }: JwtRule): Principal[] {
  const isDefault = fromHeaders.length + fromParams.length + fromCookies.length === 0;
  const headers = isDefault ? [{ name: "authorization", prefix: "Bearer " }] : fromHeaders;
  const parameters = isDefault ? ["access_token"] : fromParams;
  const contains = (name: string, value: string, ignoreCase = false) =>
    principal({
      case: "header",
      value: {
        name,
        headerMatchSpecifier: {
          case: "stringMatch",
          value: { matchPattern: { case: "contains", value }, ignoreCase },
        },
      },
    });
  return [
    // A prefix that is missing, or spelt otherwise, does not make the token disappear for the application.
    ...headers.map(({ name }) =>
      principal({
        case: "header",
        value: { name: name.toLowerCase(), headerMatchSpecifier: { case: "presentMatch", value: true } },
      })
    ),
    ...parameters.flatMap((name) => ["?", "&"].map((before) => contains(":path", `${before}${name}=`))),
    ...fromCookies.map((name) => contains("cookie", `${name}=`)),
  ];
}
