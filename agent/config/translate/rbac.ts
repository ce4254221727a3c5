/** The rules of RBAC filters, HTTP's and the network's. */
import { isIP } from "node:net";
import {
  type Permission,
  type Principal,
  type RBAC as Rules,
  RBAC_Action,
} from "../../../routing/xds/gen/envoy/config/rbac/v3/rbac_pb.ts";
import type { CidrRange } from "../../../routing/xds/gen/envoy/config/core/v3/address_pb.ts";
import type { HeaderMatcher } from "../../../routing/xds/gen/envoy/config/route/v3/route_components_pb.ts";
import { UriTemplateMatchConfigSchema } from "../../../routing/xds/gen/envoy/extensions/path/match/uri_template/v3/uri_template_match_pb.ts";
import type { PathMatcher } from "../../../routing/xds/gen/envoy/type/matcher/v3/path_pb.ts";
import type { StringMatcher } from "../../../routing/xds/gen/envoy/type/matcher/v3/string_pb.ts";
import type { Condition, RbacConfig, RuleSetConfig } from "../../../routing/authorize/condition.ts";
import { identityOfRegex } from "../../../routing/authorize/identity_pattern.ts";
import { fromEnvoyTemplate } from "../../../routing/authorize/path_template.ts";
import { headerMatchers } from "./route_match.ts";
import { unpack } from "./strict.ts";
import type { Place } from "./unsupported.ts";
import { stringMatcher } from "./values.ts";

/** Rules nested deeper than this are refused: they are judged by recursion. */
const deepest = 16;

/** @param filter an RBAC filter of either kind; `http`: whether it sees requests */
export function rbacConfig(filter: { rules?: Rules; shadowRules?: Rules }, http: boolean, place: Place): RbacConfig {
  return {
    rules: filter.rules === undefined ? null : ruleSet(filter.rules, http, place.field("rules")),
    shadow: filter.shadowRules === undefined ? null : ruleSet(filter.shadowRules, http, place.field("shadow_rules")),
  };
}

const actions = {
  [RBAC_Action.ALLOW]: "ALLOW",
  [RBAC_Action.DENY]: "DENY",
  [RBAC_Action.LOG]: "LOG",
} as const;

function ruleSet({ action, policies }: Rules, http: boolean, place: Place): RuleSetConfig {
  return {
    action: actions[action] ?? place.field("action").refuse("want ALLOW, DENY or LOG"),
    policies: Object.entries(policies).map(([name, { permissions, principals }]) => {
      const at = place.field("policies").key(name);
      const some = <Rule>(list: Rule[], field: string, condition: (rule: Rule, scope: Scope) => Condition) => {
        at.field(field).require(list.length > 0, "want at least one");
        return list.map((rule, index) => condition(rule, { http, depth: 0, place: at.field(field).item(index) }));
      };
      return {
        name,
        condition: {
          kind: "all",
          of: [
            { kind: "some", of: some(permissions, "permissions", permissionCondition) },
            { kind: "some", of: some(principals, "principals", principalCondition) },
          ],
        },
      };
    }),
  };
}

interface Scope {
  http: boolean;
  depth: number;
  place: Place;
}

function deeper({ http, depth, place }: Scope, field: string, index?: number): Scope {
  const at = place.field(field);
  at.require(depth < deepest, `nests deeper than ${deepest}`);
  return { http, depth: depth + 1, place: index === undefined ? at : at.item(index) };
}

function permissionCondition({ rule }: Permission, scope: Scope): Condition {
  const { place } = scope;
  switch (rule.case) {
    case "any":
      return anything(rule.value, place);
    case "andRules":
      return each("all", rule.value.rules, permissionCondition, scope, "and_rules.rules");
    case "orRules":
      return each("some", rule.value.rules, permissionCondition, scope, "or_rules.rules");
    case "notRule":
      return { kind: "not", of: permissionCondition(rule.value, deeper(scope, "not_rule")) };
    case "header":
      return headerCondition(rule.value, scope);
    case "urlPath":
      return pathCondition(rule.value, scope);
    case "uriTemplate": {
      requireHttp(scope, "uri_template");
      const at = place.field("uri_template.typed_config");
      const { pathTemplate } = unpack(rule.value.typedConfig, UriTemplateMatchConfigSchema, at);
      at.field("path_template").require(
        fromEnvoyTemplate(pathTemplate) !== null,
        "want segments, of which * and ** are",
      );
      return { kind: "pathTemplate", template: pathTemplate };
    }
    case "destinationIp":
      return { kind: "localAddress", range: addressPrefix(rule.value, place.field("destination_ip")) };
    case "destinationPort":
      return { kind: "localPort", first: rule.value, last: rule.value };
    case "destinationPortRange":
      return { kind: "localPort", first: rule.value.start, last: rule.value.end - 1 };
    case "requestedServerName":
      return { kind: "serverName", match: text(rule.value, place.field("requested_server_name")) };
    default:
      return place.refuse(`${rule.case ?? "a permission without a rule"} is not implemented`);
  }
}

function principalCondition({ identifier }: Principal, scope: Scope): Condition {
  const { place } = scope;
  switch (identifier.case) {
    case "any":
      return anything(identifier.value, place);
    case "andIds":
      return each("all", identifier.value.ids, principalCondition, scope, "and_ids.ids");
    case "orIds":
      return each("some", identifier.value.ids, principalCondition, scope, "or_ids.ids");
    case "notId":
      return { kind: "not", of: principalCondition(identifier.value, deeper(scope, "not_id")) };
    case "authenticated": {
      const { principalName } = identifier.value;
      return principalName === undefined
        ? { kind: "authenticated" }
        : nameCondition(principalName, place.field("authenticated.principal_name"));
    }
    case "directRemoteIp":
      return { kind: "peerAddress", range: addressPrefix(identifier.value, place.field("direct_remote_ip")) };
    case "remoteIp":
      return { kind: "remoteAddress", range: addressPrefix(identifier.value, place.field("remote_ip")) };
    case "header":
      return headerCondition(identifier.value, scope);
    case "urlPath":
      return pathCondition(identifier.value, scope);
    default:
      return place.refuse(`${identifier.case ?? "a principal without an identifier"} is not implemented`);
  }
}

/** What is said of the segments of SPIFFE ids is compared with the segments. */
function nameCondition(name: StringMatcher, place: Place): Condition {
  const { matchPattern } = name;
  const pattern = matchPattern.case === "safeRegex" ? identityOfRegex(matchPattern.value.regex) : null;
  return pattern === null ? { kind: "principal", match: text(name, place) } : { kind: "identity", pattern };
}

function text(matcher: StringMatcher, place: Place) {
  const { kind, value, ignoreCase } = stringMatcher(matcher, place);
  return { kind, value, ignoreCase };
}

function anything(value: boolean, place: Place): Condition {
  place.field("any").require(value, "want true");
  return { kind: "any" };
}

function each<Rule>(
  kind: "all" | "some",
  rules: readonly Rule[],
  condition: (rule: Rule, scope: Scope) => Condition,
  scope: Scope,
  field: string,
): Condition {
  scope.place.field(field).require(rules.length > 0, "want at least one");
  return { kind, of: rules.map((rule, index) => condition(rule, deeper(scope, field, index))) };
}

function headerCondition(header: HeaderMatcher, scope: Scope): Condition {
  requireHttp(scope, "header");
  const conditions = headerMatchers(header, scope.place.field("header")).map((
    { name, matcher, invert },
  ): Condition => ({
    kind: "header",
    name,
    match: matcher,
    invert,
  }));
  return conditions.length === 1 ? conditions[0] : { kind: "all", of: conditions };
}

function pathCondition(path: PathMatcher, scope: Scope): Condition {
  requireHttp(scope, "url_path");
  const at = scope.place.field("url_path.path");
  if (path.rule.case !== "path") return at.refuse("is required");
  return { kind: "path", match: text(path.rule.value, at) };
}

function requireHttp({ http, place }: Scope, field: string): void {
  place.field(field).require(http, "is for HTTP: a connection has none");
}

function addressPrefix({ addressPrefix: address, prefixLen = 0 }: CidrRange, place: Place) {
  const family = isIP(address);
  place.field("address_prefix").require(family !== 0, `want an IP address, found ${JSON.stringify(address)}`);
  place.field("prefix_len").require(prefixLen <= (family === 4 ? 32 : 128), "is longer than the address");
  return { address, length: prefixLen };
}
