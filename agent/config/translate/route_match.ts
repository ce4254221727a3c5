/** Conditions of routes. */
import type {
  HeaderMatcher,
  QueryParameterMatcher,
  RouteMatch,
} from "../../../routing/xds/gen/envoy/config/route/v3/route_components_pb.ts";
import type { NamedMatcher, RouteMatchConfig, StringMatcher } from "../model.ts";
import type { Place } from "./unsupported.ts";
import { compiledPattern, fraction, pattern, stringMatcher } from "./values.ts";

const presence: StringMatcher = { kind: "present", value: "", ignoreCase: false };

export function routeMatch(match: RouteMatch | undefined, place: Place): RouteMatchConfig {
  if (match === undefined) return place.refuse("want a match");
  const share = match.runtimeFraction;
  const connect = match.pathSpecifier.case === "connectMatcher";
  return {
    ...(connect ? { connect } : {}),
    path: connect ? { kind: "prefix", value: "", ignoreCase: false } : pathMatch(match, place),
    headers: match.headers.flatMap((header, index) => headerMatchers(header, place.field("headers").item(index))),
    queryParameters: match.queryParameters.map((parameter, index) =>
      queryParameterMatcher(parameter, place.field("query_parameters").item(index))
    ),
    fraction: share === undefined ? null : fraction(share.defaultValue, place.field("runtime_fraction.default_value")),
  };
}

function pathMatch({ pathSpecifier, caseSensitive }: RouteMatch, place: Place): RouteMatchConfig["path"] {
  const ignoreCase = caseSensitive === false;
  switch (pathSpecifier.case) {
    case "prefix":
      return { kind: "prefix", value: pathSpecifier.value, ignoreCase };
    case "path":
      return { kind: "exact", value: pathSpecifier.value, ignoreCase };
    case "safeRegex":
      // Envoy ignores case_sensitive here.
      return { kind: "regex", value: pattern(pathSpecifier.value, place.field("safe_regex")), ignoreCase: false };
    case "pathSeparatedPrefix":
      place.field("path_separated_prefix").require(
        /^\/[^?#]*[^?#/]$/.test(pathSpecifier.value),
        "want a path that begins with a slash, does not end with one, and has no query",
      );
      return { kind: "pathSeparatedPrefix", value: pathSpecifier.value, ignoreCase };
    default:
      return place.refuse("want one of prefix, path, safe_regex, path_separated_prefix and connect_matcher");
  }
}

/**
 * The matchers that together mean this one.
 *
 * In Envoy a header that is not there matches no condition on its value, inverted or not, unless
 * treat_missing_header_as_empty is set. Here a condition on a value does not hold without one and is then inverted, so
 * an inverted one asks for presence besides.
 */
export function headerMatchers(header: HeaderMatcher, place: Place): NamedMatcher[] {
  place.field("name").require(header.name !== "", "want a name");
  const name = header.name.toLowerCase();
  const { invertMatch: invert, treatMissingHeaderAsEmpty: missingIsEmpty, headerMatchSpecifier: specifier } = header;
  const emptyPlace = place.field("treat_missing_header_as_empty");
  if (specifier.case === undefined || specifier.case === "presentMatch") {
    emptyPlace.require(!missingIsEmpty, "is not implemented with present_match");
    const absent = specifier.case === "presentMatch" && !specifier.value;
    return [{ name, matcher: presence, invert: invert !== absent }];
  }
  const matcher = valueMatcher(header, place);
  const matchers = [{ name, matcher, invert }];
  if (missingIsEmpty) {
    emptyPlace.require(!matchesEmpty(matcher, place), "is not implemented with a condition that empty text meets");
    return matchers;
  }
  return invert ? [{ name, matcher: presence, invert: false }, ...matchers] : matchers;
}

function valueMatcher({ headerMatchSpecifier: specifier }: HeaderMatcher, place: Place): StringMatcher {
  switch (specifier.case) {
    case "stringMatch":
      return stringMatcher(specifier.value, place.field("string_match"));
    case "safeRegexMatch":
      return {
        kind: "regex",
        value: pattern(specifier.value, place.field("safe_regex_match")),
        ignoreCase: false,
      };
    case "exactMatch":
      return { kind: "exact", value: specifier.value, ignoreCase: false };
    case "prefixMatch":
      return { kind: "prefix", value: specifier.value, ignoreCase: false };
    case "suffixMatch":
      return { kind: "suffix", value: specifier.value, ignoreCase: false };
    case "containsMatch":
      return { kind: "contains", value: specifier.value, ignoreCase: false };
    default:
      return place.refuse("is not implemented");
  }
}

function matchesEmpty(matcher: StringMatcher, place: Place): boolean {
  return matcher.kind === "regex" ? compiledPattern(matcher.value, place).matches("") : matcher.value === "";
}

function queryParameterMatcher(parameter: QueryParameterMatcher, place: Place): NamedMatcher {
  const { name, queryParameterMatchSpecifier: specifier } = parameter;
  place.field("name").require(name !== "", "want a name");
  if (specifier.case === "stringMatch") {
    return { name, matcher: stringMatcher(specifier.value, place.field("string_match")), invert: false };
  }
  place.field("present_match").require(specifier.value !== false, "want true");
  return { name, matcher: presence, invert: false };
}
