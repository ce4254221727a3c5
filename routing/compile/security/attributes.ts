/**
 * What each attribute of AuthorizationPolicy is in Envoy's RBAC. An attribute that a chain cannot know (headers on a
 * TCP port, the claims of tokens that nobody has verified) is `unknown`.
 */
import { envoyTemplate } from "../../authorize/path_template.ts";
import { type IdentityPattern, identityRegex } from "../../authorize/identity_pattern.ts";
import { headerOfKey } from "../../istio/schema/security/condition_key.ts";
import type { Permission, Principal } from "../../xds/gen/envoy/config/rbac/v3/rbac_pb.ts";
import { UriTemplateMatchConfigSchema } from "../../xds/gen/envoy/extensions/path/match/uri_template/v3/uri_template_match_pb.ts";
import { create } from "@bufbuild/protobuf";
import { packAny } from "../../xds/resources.ts";
import {
  cidrRange,
  headerMatcher,
  permission,
  permissions,
  principal,
  principals,
  regexMatcher,
  stringMatcher,
} from "./rbac_messages.ts";
import { withTrustDomainAliases } from "./trust_domains.ts";

/** Where a rule is compiled for. */
export interface RuleScope {
  /** Of the policy: service accounts without a namespace are of it. */
  namespace: string;
  /** The mesh's own, then its aliases. */
  trustDomains: readonly string[];
  http: boolean;
  /** The workload's port that the chain serves: what the caller dialled may be the agent's inbound port. */
  port: number;
}

/** The message for one value, by values and scope; `null`: a chain of this scope cannot know. */
export type Attribute<Message> = (value: string, scope: RuleScope) => Message | null;

const never = permissions.not(permissions.any);

const httpOnly = <Message>(make: (value: string) => Message): Attribute<Message> => (value, { http }) =>
  http ? make(value) : null;

/** Attributes of what is asked for. */
export const operations = {
  hosts: httpOnly((host) => permission({ case: "header", value: headerMatcher(":authority", host, true) })),
  methods: httpOnly((method) => permission({ case: "header", value: headerMatcher(":method", method) })),
  paths: httpOnly(pathPermission),
  ports: (value, { port }) => Number(value) === port ? permissions.any : never,
  destinationIp: (value) => permission({ case: "destinationIp", value: cidrRange(value) }),
  serverName: (value) => permission({ case: "requestedServerName", value: stringMatcher(value) }),
} satisfies Record<string, Attribute<Permission>>;

function pathPermission(path: string): Permission {
  if (path.includes("{")) {
    const config = create(UriTemplateMatchConfigSchema, { pathTemplate: envoyTemplate(path) });
    return permission({
      case: "uriTemplate",
      value: { name: "uri-template", typedConfig: packAny(UriTemplateMatchConfigSchema, config) },
    });
  }
  return permission({ case: "urlPath", value: { rule: { case: "path", value: stringMatcher(path) } } });
}

/** Attributes of who asks. */
export const sources = {
  principals: (value, { trustDomains }) =>
    principals.some(withTrustDomainAliases([value], trustDomains).map(principalName)),
  namespaces: (namespace) => identity({ trustDomain: "*", namespace, serviceAccount: "*" }),
  trustDomains: (trustDomain) => identity({ trustDomain, namespace: "*", serviceAccount: "*" }),
  serviceAccounts: (value, scope) => {
    const [namespace, serviceAccount] = value.includes("/") ? value.split("/") : [scope.namespace, value];
    return identity({ trustDomain: "*", namespace, serviceAccount });
  },
  sourceIp: (value) => principal({ case: "directRemoteIp", value: cidrRange(value) }),
  remoteIp: (value) => principal({ case: "remoteIp", value: cidrRange(value) }),
  // Tokens are not verified: who the user is, nobody knows.
  token: (): Principal | null => null,
} satisfies Record<string, Attribute<Principal>>;

function authenticated(principalName: ReturnType<typeof stringMatcher>): Principal {
  return principal({ case: "authenticated", value: { principalName } });
}

function identity(pattern: IdentityPattern): Principal {
  return authenticated(regexMatcher(identityRegex(pattern)));
}

/** Names begin with `spiffe://`, which policies leave out. */
function principalName(pattern: string): Principal {
  if (pattern.startsWith("*")) return authenticated(stringMatcher(pattern));
  return authenticated(stringMatcher(`spiffe://${pattern}`));
}

/** The attribute behind the key of a condition. */
export function conditionAttribute(
  key: string,
): { permission: Attribute<Permission> } | { principal: Attribute<Principal> } {
  const name = headerOfKey(key);
  if (name !== null) {
    const header = name.toLowerCase();
    return {
      principal: httpOnly((value) => principal({ case: "header", value: headerMatcher(header, value) })),
    };
  }
  switch (key) {
    case "source.ip":
      return { principal: sources.sourceIp };
    case "remote.ip":
      return { principal: sources.remoteIp };
    case "source.namespace":
      return { principal: sources.namespaces };
    case "source.principal":
      return { principal: sources.principals };
    case "source.trustDomain":
      return { principal: sources.trustDomains };
    case "source.serviceAccount":
      return { principal: sources.serviceAccounts };
    case "destination.ip":
      return { permission: operations.destinationIp };
    case "destination.port":
      return { permission: operations.ports };
    case "connection.sni":
      return { permission: operations.serverName };
    default:
      return { principal: sources.token };
  }
}
