/** Header operations of routes and of their destinations. */
import { list, map, message } from "../../yaml/collections.ts";
import type { Cursor } from "../../yaml/cursor.ts";
import { type Schema, string } from "../../yaml/schema.ts";
import type { HeaderOperations, Headers } from "../types.ts";
import { headerName } from "./names.ts";

const values = map(string());

const operations: Schema<HeaderOperations> = message<HeaderOperations>({
  set: values,
  add: values,
  remove: list(string()),
});

/** `request` may set or add the authority; nothing else of what Envoy keeps for itself can be touched. */
export const headers: Schema<Headers> = message<Headers>({ request: operations, response: operations }, (_, cursor) => {
  for (const direction of ["request", "response"] as const) {
    for (const operation of ["set", "add"] as const) {
      const map = cursor.at(direction, operation);
      if (map.node.type !== "map") continue;
      for (const key of map.node.entries.keys()) checkName(map.atKey(key), key, direction === "request");
    }
    for (const item of cursor.at(direction, "remove").items()) {
      if (item.node.type === "scalar") checkName(item, item.node.source, false);
    }
  }
});

function checkName(cursor: Cursor, name: string, authority: boolean): void {
  const lower = name.toLowerCase();
  if (authority && (lower === ":authority" || lower === "host")) return;
  if (lower.startsWith(":") || lower === "host") {
    cursor.error(authority ? "of the pseudo-headers only :authority can be set" : "this header cannot be changed here");
  } else if (headerName(name) !== undefined) {
    cursor.error(`must be a header name, found ${JSON.stringify(name.slice(0, 60))}`);
  }
}

/** Names under which the operations set or add the authority: at most one may, rewrite.authority included. */
export function authorityOperations(headers: Headers | undefined): string[] {
  const names = (values: Record<string, string> | undefined) =>
    Object.keys(values ?? {}).filter((name) => [":authority", "host"].includes(name.toLowerCase()));
  return [...names(headers?.request?.set), ...names(headers?.request?.add)];
}
