/** Values that many fields share: durations, patterns, matchers, fractions, addresses, inline data. */
import type { JsonObject } from "@bufbuild/protobuf";
import type { Duration } from "@bufbuild/protobuf/wkt";
import { isIP } from "node:net";
import { RE2JS } from "re2js";
import { type Address, SocketAddress_Protocol } from "../../../routing/xds/gen/envoy/config/core/v3/address_pb.ts";
import type { DataSource, Metadata } from "../../../routing/xds/gen/envoy/config/core/v3/base_pb.ts";
import { ApiVersion, type ConfigSource } from "../../../routing/xds/gen/envoy/config/core/v3/config_source_pb.ts";
import type { RegexMatcher } from "../../../routing/xds/gen/envoy/type/matcher/v3/regex_pb.ts";
import type { StringMatcher as StringMatcherMessage } from "../../../routing/xds/gen/envoy/type/matcher/v3/string_pb.ts";
import {
  type FractionalPercent,
  FractionalPercent_DenominatorType,
} from "../../../routing/xds/gen/envoy/type/v3/percent_pb.ts";
import type { Fraction, StringMatcher } from "../model.ts";
import type { Place } from "./unsupported.ts";

/** Longer patterns are refused: what a pattern costs to compile and to run grows with its length. */
const maximumPatternLength = 4096;

/** Milliseconds, cut to whole ones as in Envoy; `absent` where there is no duration. */
export function milliseconds<Absent>(duration: Duration | undefined, absent: Absent, place: Place): number | Absent {
  if (duration === undefined) return absent;
  place.require(duration.seconds >= 0n && duration.nanos >= 0, "want a duration that is not negative");
  return Number(duration.seconds) * 1000 + Math.floor(duration.nanos / 1e6);
}

/** As {@link milliseconds}, where 0 makes no sense. */
export function positiveMilliseconds(duration: Duration | undefined, absent: number, place: Place): number {
  const value = milliseconds(duration, absent, place);
  place.require(value > 0, "want a duration of at least 1 ms");
  return value;
}

/** An RE2 pattern that the data threads' engine takes. */
export function pattern({ regex }: RegexMatcher, place: Place): string {
  return compiledPattern(regex, place.field("regex")).pattern();
}

/** As {@link pattern}, compiled. */
export function compiledPattern(regex: string, place: Place): RE2JS {
  place.require(regex.length <= maximumPatternLength, `want at most ${maximumPatternLength} characters`);
  try {
    return RE2JS.compile(regex);
  } catch (error) {
    place.refuse(`${JSON.stringify(regex)} is no RE2 pattern: ${(error as Error).message}`);
  }
}

export function stringMatcher({ matchPattern, ignoreCase }: StringMatcherMessage, place: Place): StringMatcher {
  switch (matchPattern.case) {
    case "exact":
    case "prefix":
    case "suffix":
    case "contains":
      return { kind: matchPattern.case, value: matchPattern.value, ignoreCase };
    case "safeRegex":
      // Envoy ignores ignore_case here.
      return { kind: "regex", value: pattern(matchPattern.value, place.field("safe_regex")), ignoreCase: false };
    default:
      return place.refuse("want one of exact, prefix, suffix, contains and safe_regex");
  }
}

const denominators = {
  [FractionalPercent_DenominatorType.HUNDRED]: 100,
  [FractionalPercent_DenominatorType.TEN_THOUSAND]: 10_000,
  [FractionalPercent_DenominatorType.MILLION]: 1_000_000,
} as const;

/** Absent, as in Envoy, is 0 of 100: never. */
export function fraction(percent: FractionalPercent | undefined, place: Place): Fraction {
  if (percent === undefined) return { numerator: 0, denominator: 100 };
  const denominator = denominators[percent.denominator];
  if (denominator === undefined) place.field("denominator").refuse("want HUNDRED, TEN_THOUSAND or MILLION");
  return { numerator: percent.numerator, denominator };
}

/**
 * An IP address with its port, or the path of a Unix socket with port 0.
 *
 * @param names whether a DNS name may stand in the place of the address
 */
export function addressAndPort(
  address: Address | undefined,
  place: Place,
  names = false,
): { address: string; port: number } {
  const specifier = address?.address;
  if (specifier?.case === "pipe") {
    const { path } = specifier.value;
    place.field("pipe.path").require(path !== "", "want a path");
    return { address: path, port: 0 };
  }
  if (specifier?.case !== "socketAddress") return place.refuse("want a socket_address or a pipe");
  const { value } = specifier;
  const at = place.field("socket_address");
  at.field("protocol").require(value.protocol === SocketAddress_Protocol.TCP, "want TCP");
  const wanted = names ? "an IP address or a DNS name" : "an IP address";
  at.field("address").require(
    isIP(value.address) !== 0 || (names && isDnsName(value.address)),
    `want ${wanted}, found ${JSON.stringify(value.address)}`,
  );
  const port = value.portSpecifier.case === "portValue" ? value.portSpecifier.value : -1;
  at.field("port_value").require(port >= 0 && port <= 65535, "want a port number");
  return { address: value.address, port };
}

/** RFC 1035, with the underscore that names in use have. */
function isDnsName(text: string): boolean {
  return text.length <= 254 &&
    /^([A-Za-z0-9_]([-A-Za-z0-9_]{0,61}[A-Za-z0-9_])?\.)*[A-Za-z0-9_]([-A-Za-z0-9_]{0,61}[A-Za-z0-9_])?\.?$/.test(text);
}

/** Text that stands in the message itself; `null` where there is none. */
export function inlineText(source: DataSource | undefined, place: Place): string | null {
  switch (source?.specifier.case) {
    case undefined:
      return null;
    case "inlineString":
      return source.specifier.value;
    case "inlineBytes":
      try {
        return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(source.specifier.value);
      } catch {
        return place.field("inline_bytes").refuse("want text in UTF-8");
      }
    default:
      return place.refuse("want inline_string or inline_bytes");
  }
}

/** Resources come over the stream that the referring one came over: there is no other source. */
export function requireAds(source: ConfigSource | undefined, place: Place): void {
  if (source?.configSourceSpecifier.case !== "ads") return place.refuse("want ads");
  place.field("resource_api_version").require(
    source.resourceApiVersion === ApiVersion.V3 || source.resourceApiVersion === ApiVersion.AUTO,
    "want V3",
  );
}

/** The first of Istio's `filter_metadata.istio.services`; its texts are empty where there is none. */
export function serviceOf(metadata: Metadata | undefined): { host: string; name: string; namespace: string } {
  const services = metadata?.filterMetadata["istio"]?.["services"];
  const first = Array.isArray(services) ? services[0] : undefined;
  const service: JsonObject = typeof first === "object" && first !== null && !Array.isArray(first) ? first : {};
  const text = (key: string) => typeof service[key] === "string" ? service[key] : "";
  return { host: text("host"), name: text("name"), namespace: text("namespace") };
}

/** A structure whose values are all text, such as labels. */
export function textValues(struct: Record<string, unknown> | undefined, place: Place): Record<string, string> {
  const entries = Object.entries(struct ?? {}).map(([key, value]): [string, string] => {
    if (typeof value !== "string") return place.key(key).refuse("want text");
    return [key, value];
  });
  return Object.fromEntries(entries);
}
