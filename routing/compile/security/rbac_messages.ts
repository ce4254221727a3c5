/** Short ways to write the messages of Envoy's RBAC. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  type Permission,
  PermissionSchema,
  type Principal,
  PrincipalSchema,
} from "../../xds/gen/envoy/config/rbac/v3/rbac_pb.ts";
import type { CidrRangeSchema } from "../../xds/gen/envoy/config/core/v3/address_pb.ts";
import type { HeaderMatcherSchema } from "../../xds/gen/envoy/config/route/v3/route_components_pb.ts";
import type { StringMatcherSchema } from "../../xds/gen/envoy/type/matcher/v3/string_pb.ts";

type StringMatcherInit = MessageInitShape<typeof StringMatcherSchema>;

export function permission(rule: MessageInitShape<typeof PermissionSchema>["rule"]): Permission {
  return create(PermissionSchema, { rule });
}

export function principal(identifier: MessageInitShape<typeof PrincipalSchema>["identifier"]): Principal {
  return create(PrincipalSchema, { identifier });
}

/** The operators that permissions and principals have in common. */
export interface Logic<Message> {
  any: Message;
  all(of: Message[]): Message;
  some(of: Message[]): Message;
  not(of: Message): Message;
}

export const permissions: Logic<Permission> = {
  any: permission({ case: "any", value: true }),
  all: (rules) => permission({ case: "andRules", value: { rules } }),
  some: (rules) => permission({ case: "orRules", value: { rules } }),
  not: (rule) => permission({ case: "notRule", value: rule }),
};

export const principals: Logic<Principal> = {
  any: principal({ case: "any", value: true }),
  all: (ids) => principal({ case: "andIds", value: { ids } }),
  some: (ids) => principal({ case: "orIds", value: { ids } }),
  not: (id) => principal({ case: "notId", value: id }),
};

/** Istio's patterns: exact, `prefix*`, `*suffix`; `*` is anything that is not empty. */
export function stringMatcher(pattern: string, ignoreCase = false): StringMatcherInit {
  if (pattern === "*") return regexMatcher(".+");
  if (pattern.startsWith("*")) return { matchPattern: { case: "suffix", value: pattern.slice(1) }, ignoreCase };
  if (pattern.endsWith("*")) return { matchPattern: { case: "prefix", value: pattern.slice(0, -1) }, ignoreCase };
  return { matchPattern: { case: "exact", value: pattern }, ignoreCase };
}

export function regexMatcher(regex: string): StringMatcherInit {
  return { matchPattern: { case: "safeRegex", value: { regex } } };
}

export function headerMatcher(
  name: string,
  pattern: string,
  ignoreCase = false,
): MessageInitShape<typeof HeaderMatcherSchema> {
  return pattern === "*"
    ? { name, headerMatchSpecifier: { case: "presentMatch", value: true } }
    : { name, headerMatchSpecifier: { case: "stringMatch", value: stringMatcher(pattern, ignoreCase) } };
}

/** An address or a range of them, valid by the schema. */
export function cidrRange(text: string): MessageInitShape<typeof CidrRangeSchema> {
  const [addressPrefix, length] = text.split("/");
  const whole = addressPrefix.includes(":") ? 128 : 32;
  return { addressPrefix, prefixLen: length === undefined ? whole : Number(length) };
}
