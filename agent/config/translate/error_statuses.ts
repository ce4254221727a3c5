/** Which statuses outlier detection counts as errors: Envoy's `error_matcher`, asked about each status there is. */
import type { Any } from "@bufbuild/protobuf/wkt";
import type { MatchPredicate } from "../../../routing/xds/gen/envoy/config/common/matcher/v3/matcher_pb.ts";
import { HttpProtocolOptionsSchema } from "../../../routing/xds/gen/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.ts";
import { ascii } from "../../decode/characters.ts";
import { compileMatcher } from "../../route/matchers.ts";
import { headerMatchers } from "./route_match.ts";
import { unpack } from "./strict.ts";
import type { Place } from "./unsupported.ts";

type Test = (status: Uint8Array) => boolean;

/**
 * In ascending order, `undefined` where the HTTP protocol options name none. Conditions on anything but the status are
 * refused.
 */
export function errorStatuses(options: Any | undefined, place: Place): number[] | undefined {
  if (options === undefined) return undefined;
  const matcher = unpack(options, HttpProtocolOptionsSchema, place).outlierDetection?.errorMatcher;
  if (matcher === undefined) return undefined;
  const test = predicate(matcher, place.field("outlier_detection.error_matcher"));
  return Array.from({ length: 500 }, (_, index) => 100 + index).filter((status) => test(ascii(String(status))));
}

function predicate({ rule }: MatchPredicate, place: Place): Test {
  switch (rule.case) {
    case "orMatch": {
      const tests = rule.value.rules.map((one, i) => predicate(one, place.field("or_match.rules").item(i)));
      return (status) => tests.some((test) => test(status));
    }
    case "andMatch": {
      const tests = rule.value.rules.map((one, i) => predicate(one, place.field("and_match.rules").item(i)));
      return (status) => tests.every((test) => test(status));
    }
    case "notMatch": {
      const test = predicate(rule.value, place.field("not_match"));
      return (status) => !test(status);
    }
    case "anyMatch":
      return () => true;
    case "httpResponseHeadersMatch": {
      const tests = rule.value.headers.flatMap((header, i): Test[] => {
        const at = place.field("http_response_headers_match.headers").item(i);
        at.field("name").require(header.name === ":status", "only conditions on :status are implemented");
        return headerMatchers(header, at).map(({ matcher, invert }) => {
          if (matcher.kind === "present") return () => !invert;
          const matches = compileMatcher(matcher);
          return (status) => matches(status, 0, status.length) !== invert;
        });
      });
      return (status) => tests.every((test) => test(status));
    }
    default:
      return place.refuse("want or_match, and_match, not_match, any_match or http_response_headers_match");
  }
}
