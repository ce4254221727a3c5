/** Keys of the conditions of AuthorizationPolicy, and what values each of them takes. */
import type { Cursor } from "../../../yaml/cursor.ts";
import { quote } from "../../../yaml/node.ts";
import { nearest } from "../../../yaml/suggest.ts";
import type { AuthorizationCondition } from "../../security_types.ts";
import { addressOrSubnet, headerName } from "../names.ts";

const plain = [
  "source.ip",
  "remote.ip",
  "source.namespace",
  "source.principal",
  "source.serviceAccount",
  "source.trustDomain",
  "request.auth.principal",
  "request.auth.audiences",
  "request.auth.presenter",
  "destination.ip",
  "destination.port",
  "connection.sni",
];
const addresses = new Set(["source.ip", "remote.ip", "destination.ip"]);

/** The header's name in `request.headers[NAME]`; `null`: the key is another one. */
export function headerOfKey(key: string): string | null {
  return /^request\.headers\[([^\]]+)\]$/.exec(key)?.[1] ?? null;
}

export function checkCondition({ key, values, notValues }: Partial<AuthorizationCondition>, cursor: Cursor): void {
  if (key === undefined) return;
  const problem = problemOfKey(key);
  if (problem !== null) return cursor.at("key").error(problem);
  if (!cursor.has("values") && !cursor.has("notValues") || (values?.length ?? 0) + (notValues?.length ?? 0) === 0) {
    cursor.at("values").error("at least one of values and notValues is required, with a value");
  }
  for (const [name, list] of [["values", values], ["notValues", notValues]] as const) {
    list?.forEach((value, index) => {
      const expected = addresses.has(key)
        ? addressOrSubnet(value)
        : key === "destination.port" && !(/^[1-9]\d{0,4}$/.test(value) && Number(value) <= 65535)
        ? "be a port number from 1 to 65535"
        : key === "source.serviceAccount" && !/^[^/*]+(\/[^/*]+)?$/.test(value)
        ? "be a service account or NAMESPACE/SERVICE-ACCOUNT, without *"
        : undefined;
      if (expected !== undefined) cursor.at(name, index).error(`must ${expected}, found ${quote(value)}`);
    });
  }
}

/** Whether the key is about the metadata of one of Envoy's filters. */
export function isOfFilter(key: string): boolean {
  return /^experimental\.envoy\.filters\.[^[]*\[.+\]$/.test(key);
}

function problemOfKey(key: string): string | null {
  const header = headerOfKey(key);
  if (header !== null) {
    const known = header.startsWith(":") ? header.slice(1) : header;
    return headerName(known) === undefined ? null : `must name a header, found ${quote(header)}`;
  }
  if (/^request\.auth\.claims(\[[^\[\]]+\])+$/.test(key) || plain.includes(key)) return null;
  if (isOfFilter(key)) return null;
  const meant = nearest(key, plain);
  return `unknown key ${quote(key)}` + (meant === undefined ? "; see docs/security.md" : `; did you mean ${meant}?`);
}
