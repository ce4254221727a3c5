/** Where a redirect leads. */
import type { RedirectConfig } from "../config/model.ts";
import { latin1 } from "../decode/characters.ts";
import type { RequestHead } from "../decode/head.ts";
import type { Route } from "../route/route_table.ts";

const defaultPorts: Record<string, number> = { http: 80, https: 443 };

/** The `location` line of a redirect (Envoy's RedirectAction). */
export function redirectHeaders(redirect: RedirectConfig, route: Route, head: RequestHead): string {
  const bytes = head.fields.bytes;
  const ownScheme = head.secure ? "https" : "http";
  const scheme = redirect.scheme === "" ? ownScheme : redirect.scheme;
  const authority = latin1(bytes, head.authorityStart, head.authorityEnd);
  const [, name, port] = /^(.*?)(?::(\d+))?$/.exec(authority)!;
  const host = redirect.host === "" ? name : redirect.host;
  // A port that is the old scheme's default does not go along into another scheme.
  const leaves = scheme !== ownScheme && Number(port) === defaultPorts[ownScheme];
  const kept = port === undefined || leaves ? 0 : Number(port);
  const chosen = redirect.port > 0 ? redirect.port : redirect.host === "" ? kept : 0;
  const portText = chosen > 0 ? `:${chosen}` : "";
  const query = redirect.stripQuery ? "" : latin1(bytes, head.queryStart, head.pathEnd);
  const path = latin1(bytes, head.pathStart, head.queryStart);
  let target = path + query;
  if (redirect.path !== "") target = redirect.path.includes("?") ? redirect.path : redirect.path + query;
  else if (redirect.prefixRewrite !== "") {
    const matched = route.matchedLength < 0 ? path.length : route.matchedLength;
    target = redirect.prefixRewrite + path.slice(matched) + query;
  }
  return `location: ${scheme}://${host}${portText}${target}\r\n`;
}
