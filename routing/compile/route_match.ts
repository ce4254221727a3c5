/** Conditions of a VirtualService's match block as Envoy's route match. */
import { create } from "@bufbuild/protobuf";
import type { HTTPMatchRequest, StringMatch } from "../istio/types.ts";
import { type RouteMatch, RouteMatchSchema } from "../xds/gen/envoy/config/route/v3/route_components_pb.ts";

/**
 * The match of one block; `undefined` is a route without conditions. Prefixes of paths are prefixes of text:
 * `/review` matches `/reviews`.
 */
export function routeMatch(match: HTTPMatchRequest | undefined): RouteMatch {
  const headers = [
    ...Object.entries(match?.headers ?? {}).map(([name, value]) => headerMatch(name, value)),
    ...Object.entries(match?.withoutHeaders ?? {}).filter(([name]) => !isClaim(name)).map(([name, value]) => ({
      ...headerMatch(name, value),
      invertMatch: true,
      // A request without the header is one that does not carry the value.
      treatMissingHeaderAsEmpty: !isPresence(value),
    })),
  ].sort((one, other) => one.name < other.name ? -1 : one.name > other.name ? 1 : 0);
  for (
    const [name, value] of [
      [":method", match?.method],
      [":authority", match?.authority],
      [":scheme", match?.scheme],
    ] as const
  ) {
    if (value !== undefined) headers.push(headerMatch(name, value));
  }
  return create(RouteMatchSchema, {
    pathSpecifier: pathSpecifier(match?.uri),
    caseSensitive: match?.ignoreUriCase === true ? false : undefined,
    headers,
    queryParameters: Object.entries(match?.queryParams ?? {})
      .map(([name, value]) => ({ name, queryParameterMatchSpecifier: valueSpecifier(value) })),
  });
}

/** Whether the match asks for a claim of a token. None is checked yet, so that no request has one. */
export function asksForClaims(match: HTTPMatchRequest | undefined): boolean {
  return Object.keys(match?.headers ?? {}).some(isClaim);
}

function isClaim(name: string): boolean {
  return name.startsWith("@request.auth.claims");
}

/** Whether the match takes every request, so that no later route is ever reached. */
export function isCatchAll({ pathSpecifier, headers, queryParameters }: RouteMatch): boolean {
  const everyPath = (pathSpecifier.case === "prefix" && pathSpecifier.value === "/") ||
    (pathSpecifier.case === "safeRegex" && pathSpecifier.value.regex === ".*");
  return everyPath && headers.length === 0 && queryParameters.length === 0;
}

function pathSpecifier(uri: StringMatch | undefined) {
  if (uri?.exact !== undefined) return { case: "path" as const, value: uri.exact };
  if (uri?.regex !== undefined) return { case: "safeRegex" as const, value: { regex: uri.regex } };
  return { case: "prefix" as const, value: uri?.prefix ?? "/" };
}

function headerMatch(name: string, value: StringMatch) {
  return { name, headerMatchSpecifier: valueSpecifier(value), invertMatch: false, treatMissingHeaderAsEmpty: false };
}

function valueSpecifier(value: StringMatch) {
  return isPresence(value)
    ? { case: "presentMatch" as const, value: true }
    : { case: "stringMatch" as const, value: { matchPattern: stringPattern(value) } };
}

/** The pattern of a match that is not for presence alone. */
export function stringPattern(value: StringMatch) {
  if (value.exact !== undefined) return { case: "exact" as const, value: value.exact };
  if (value.prefix !== undefined) return { case: "prefix" as const, value: value.prefix };
  return { case: "safeRegex" as const, value: { regex: value.regex! } };
}

/** `{}` asks only that the value is there; so does, by Istio's custom, the regex `*`. */
function isPresence({ exact, prefix, regex }: StringMatch): boolean {
  return exact === undefined && prefix === undefined && (regex === undefined || regex === "*");
}
