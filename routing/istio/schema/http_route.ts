/** One HTTP route of a VirtualService. */
import { atMostOne, list, message, required } from "../../yaml/collections.ts";
import type { Cursor } from "../../yaml/cursor.ts";
import { integer, type Schema, string } from "../../yaml/schema.ts";
import { duration } from "../duration.ts";
import type { Destination, HTTPRoute, Percent, StringMatch } from "../types.ts";
import { destination, httpDestinations } from "./destination.ts";
import { authorityOperations, headers } from "./headers.ts";
import { corsPolicy, directResponse, fault, redirect, retry, rewrite } from "./http_actions.ts";
import { httpMatch } from "./http_match.ts";
import { dnsLabel, dnsSubdomain } from "./names.ts";
import { percent } from "./string_match.ts";

const mirrorPolicy = message<{ destination: Destination; percentage?: Percent }>({
  destination: required(destination),
  percentage: percent,
});

export const httpRoute: Schema<HTTPRoute> = message<HTTPRoute>({
  name: string(),
  match: list(httpMatch),
  route: httpDestinations,
  redirect,
  directResponse,
  delegate: message<{ name?: string; namespace?: string }>({
    name: string(dnsSubdomain),
    namespace: string(dnsLabel),
  }),
  rewrite,
  timeout: duration(),
  retries: retry,
  fault,
  mirror: destination,
  mirrors: list(mirrorPolicy),
  mirrorPercent: integer(0, 100),
  mirrorPercentage: percent,
  corsPolicy,
  headers,
}, (route, cursor) => {
  checkAction(cursor);
  checkPrefixRewrite(route, cursor);
  atMostOne(cursor, "mirror", "mirrors");
  if (cursor.has("mirrorPercent")) cursor.atKey("mirrorPercent").warning("is deprecated: use mirrorPercentage.value");
  const authorities = authorityOperations(route.headers);
  if (authorities.length + (route.rewrite?.authority ? 1 : 0) > 1) {
    cursor.at("headers", "request").error("sets the authority more than once, rewrite.authority included: keep one");
  }
  if (cursor.has("delegate")) refusePatterns(route, cursor);
});

/** Exactly one of the four, and what the others exclude. */
function checkAction(cursor: Cursor): void {
  const actions = ["route", "redirect", "directResponse", "delegate"];
  const written = actions.filter((name) => cursor.has(name));
  atMostOne(cursor, ...actions);
  const { node } = cursor.at("route");
  if (written.length === 0) cursor.error(`one of ${actions.join(", ")} is required`);
  else if (written[0] === "route" && node.type === "list" && node.items.length === 0) {
    cursor.at("route").error("must name at least one destination");
  }
  for (const action of ["redirect", "directResponse"].filter((name) => cursor.has(name))) {
    for (const name of ["fault", "rewrite"]) {
      if (cursor.has(name)) cursor.atKey(name).error(`cannot stand beside ${action}`);
    }
  }
}

function checkPrefixRewrite(route: Partial<HTTPRoute>, cursor: Cursor): void {
  if (route.redirect?.prefixRewrite === undefined || !cursor.has("match")) return;
  route.match?.forEach(({ uri }, index) => {
    if (uri === undefined || uri.prefix !== undefined) return;
    cursor.at("match", index, "uri").error("must be a prefix: that is what redirect.prefixRewrite replaces");
  });
}

/** Conditions of root and delegate are joined, which regular expressions cannot be. */
export function refusePatterns(route: Partial<HTTPRoute>, cursor: Cursor): void {
  route.match?.forEach((match, index) => {
    const at = cursor.at("match", index);
    for (const name of ["uri", "scheme", "method", "authority"] as const) refusePattern(match[name], at.at(name));
    for (const name of ["headers", "withoutHeaders", "queryParams"] as const) {
      for (const [key, value] of Object.entries(match[name] ?? {})) refusePattern(value, at.at(name, key));
    }
  });
}

function refusePattern(match: StringMatch | undefined, cursor: Cursor): void {
  if (match?.regex !== undefined) cursor.at("regex").error("routes of a delegation take no regular expressions");
}
