/** AuthorizationPolicy, by the rules of Istio's validator. */
import { list, message, required } from "../../../yaml/collections.ts";
import type { Cursor } from "../../../yaml/cursor.ts";
import { quote } from "../../../yaml/node.ts";
import { enumeration, nonEmpty, type Schema, string, type TextRule } from "../../../yaml/schema.ts";
import type {
  AuthorizationCondition,
  AuthorizationOperation,
  AuthorizationPolicySpec,
  AuthorizationRule,
  AuthorizationSource,
} from "../../security_types.ts";
import { parsePathTemplate } from "../../../authorize/path_template.ts";
import { addressOrSubnet } from "../names.ts";
import { checkCondition, isOfFilter } from "./condition_key.ts";
import { checkTarget, targetFields } from "./policy_target.ts";

const most = { maximum: 512 };
const values = (...rules: TextRule[]) => list(string(nonEmpty, ...rules), most);

/** A text rule: `NAMESPACE/NAME`, or a name in the policy's namespace; no patterns. */
function serviceAccount(value: string): string | undefined {
  const good = value.length <= 320 && /^[^/*]+(\/[^/*]+)?$/.test(value);
  return good ? undefined : "be a service account or NAMESPACE/SERVICE-ACCOUNT, without *";
}

/** A text rule: trust domain, with `*` at its start or end. */
export function trustDomain(value: string): string | undefined {
  const good = !value.includes("/") && (value === "*" || /^\*?[^*]+$|^[^*]+\*$/.test(value));
  return good ? undefined : "be a trust domain, with * at its start or its end alone";
}

/** A text rule: an exact path, a prefix `/a/*`, a suffix `*.png`, or a template with `{*}` and `{**}`. */
function path(value: string): string | undefined {
  if (!value.includes("{") && !value.includes("}")) return undefined;
  return parsePathTemplate(value) === null
    ? "be a path, or a template in which {*} is one whole segment and {**} stands last, without other *"
    : undefined;
}

/** A text rule: port number in quotes. */
function port(value: string): string | undefined {
  return /^[1-9]\d{0,4}$/.test(value) && Number(value) <= 65535 ? undefined : "be a port number from 1 to 65535";
}

const accounts = list(string(nonEmpty, serviceAccount), { maximum: 16 });

const source: Schema<AuthorizationSource> = message<AuthorizationSource>({
  principals: values(),
  notPrincipals: values(),
  requestPrincipals: values(),
  notRequestPrincipals: values(),
  namespaces: values(),
  notNamespaces: values(),
  serviceAccounts: accounts,
  notServiceAccounts: accounts,
  trustDomains: values(trustDomain),
  notTrustDomains: values(trustDomain),
  ipBlocks: values(addressOrSubnet),
  notIpBlocks: values(addressOrSubnet),
  remoteIpBlocks: values(addressOrSubnet),
  notRemoteIpBlocks: values(addressOrSubnet),
}, (source, cursor) => {
  needsOne(source, cursor);
  const accounts = ["serviceAccounts", "notServiceAccounts"].find((name) => cursor.has(name));
  const other = ["principals", "notPrincipals", "namespaces", "notNamespaces"].find((name) => cursor.has(name));
  if (accounts !== undefined && other !== undefined) {
    cursor.atKey(accounts).error(`cannot stand beside ${other}: a service account names its namespace`);
  }
});

const operation: Schema<AuthorizationOperation> = message<AuthorizationOperation>({
  hosts: values(),
  notHosts: values(),
  ports: values(port),
  notPorts: values(port),
  methods: values(),
  notMethods: values(),
  paths: values(path),
  notPaths: values(path),
}, needsOne);

const condition: Schema<AuthorizationCondition> = message<AuthorizationCondition>({
  key: required(string(nonEmpty)),
  values: list(string(nonEmpty), most),
  notValues: list(string(nonEmpty), most),
}, checkCondition);

const rule: Schema<AuthorizationRule> = message<AuthorizationRule>({
  from: list(message<{ source?: AuthorizationSource }>({ source }, (_, cursor) => needs("source", cursor)), {
    ...most,
    minimum: 1,
  }),
  to: list(message<{ operation?: AuthorizationOperation }>({ operation }, (_, cursor) => needs("operation", cursor)), {
    ...most,
    minimum: 1,
  }),
  when: list(condition, most),
});

export const authorizationPolicy: Schema<AuthorizationPolicySpec> = message<AuthorizationPolicySpec>({
  ...targetFields,
  rules: list(rule, most),
  action: enumeration("ALLOW", "DENY", "AUDIT", "CUSTOM"),
  provider: message<{ name?: string }>({ name: string() }),
}, ({ action = "ALLOW", rules, provider }, cursor) => {
  checkTarget(cursor);
  if ((action === "DENY" || action === "CUSTOM") && (!cursor.has("rules") || rules?.length === 0)) {
    cursor.at("rules").error(`is required for action ${action}: without rules it is never met`);
  }
  if (action === "CUSTOM") {
    if (provider?.name === undefined || provider.name === "") {
      cursor.at("provider", "name").error("is required for action CUSTOM");
    }
  } else if (cursor.has("provider")) {
    cursor.atKey("provider").error(`is for action CUSTOM only, found ${quote(action)}`);
  }
  if (action === "CUSTOM" || action === "AUDIT") {
    cursor.at("action").warning(`${action} is not enforced in this version: requests that match its rules are denied`);
  }
  if (action === "CUSTOM") refuseIdentities(cursor);
  if (action === "DENY") warnOfHttpAlone(cursor);
  warnOfTokens(cursor);
});

/** The external authorizer is asked before anybody's identity counts. */
function refuseIdentities(policy: Cursor): void {
  const message = "cannot be asked for with action CUSTOM";
  for (const rule of policy.at("rules").items()) {
    for (const source of rule.at("from").items().map((from) => from.at("source"))) {
      for (const name of identities) if (source.at(name).items().length > 0) source.atKey(name).error(message);
    }
    for (const { node } of rule.at("when").items().map((condition) => condition.at("key"))) {
      if (node.type !== "scalar") continue;
      const key = String(node.value);
      if (identityKeys.includes(key) || key.startsWith("request.auth.")) rule.at("when").error(`${key} ${message}`);
    }
  }
}

const identities = ["namespaces", "serviceAccounts", "trustDomains", "principals", "requestPrincipals"]
  .flatMap((name) => [name, `not${name[0].toUpperCase()}${name.slice(1)}`]);
const identityKeys = ["source.namespace", "source.serviceAccount", "source.trustDomain", "source.principal"];

/** What a TCP port can know of; of the rest a DENY rule is left out there, so that it denies more. */
const knownToTcp = ["principals", "namespaces", "serviceAccounts", "ipBlocks", "remoteIpBlocks", "ports"]
  .flatMap((name) => [name, `not${name[0].toUpperCase()}${name.slice(1)}`]);

function warnOfHttpAlone(policy: Cursor): void {
  for (const rule of policy.at("rules").items()) {
    const sources = rule.at("from").items().map((from) => from.at("source"));
    const operations = rule.at("to").items().map((to) => to.at("operation"));
    const tcp = (parts: Cursor[]) => parts.some((part) => knownToTcp.some((name) => part.has(name)));
    const asked = operations.length > 0 ? operations : sources;
    if (asked.length > 0 && !tcp(asked)) {
      rule.warning("denies everything on TCP ports, which know nothing of HTTP: name the ports under to");
    }
  }
}

/** Until tokens are verified, nobody has a request principal. */
function warnOfTokens(policy: Cursor): void {
  for (const rule of policy.at("rules").items()) {
    const sources = rule.at("from").items().map((from) => from.at("source"));
    for (const name of ["requestPrincipals", "notRequestPrincipals"]) {
      for (const source of sources) if (source.has(name)) source.atKey(name).warning(tokens);
    }
    for (const condition of rule.at("when").items()) {
      const { node } = condition.at("key");
      if (node.type !== "scalar") continue;
      if (String(node.value).startsWith("request.auth.")) condition.at("key").warning(tokens);
      else if (isOfFilter(String(node.value))) condition.at("key").warning(filters);
    }
  }
}

const filters = "there are no such filters in this version: what the rule is about is denied";
const tokens = "JSON Web Tokens are not verified in this version: what the rule is about is denied";

function needs(name: string, cursor: Cursor): void {
  if (!cursor.has(name)) cursor.at(name).error("is required");
}

function needsOne(value: object, cursor: Cursor): void {
  const { node } = cursor;
  if (node.type !== "map" || node.entries.size === 0) return cursor.error("must name at least one field");
  const empty = Object.values(value).every((list) => (list as unknown[]).length === 0);
  if (Object.keys(value).length > 0 && empty) cursor.error("must name at least one value");
}
