/** What of a request is hashed, so that requests with the same go to the same host. */
import type { RouteAction_HashPolicy } from "../../../routing/xds/gen/envoy/config/route/v3/route_components_pb.ts";
import type { HashPolicyConfig } from "../model.ts";
import type { Place } from "./unsupported.ts";
import { milliseconds } from "./values.ts";

export function hashPolicy({ policySpecifier, terminal }: RouteAction_HashPolicy, place: Place): HashPolicyConfig {
  switch (policySpecifier.case) {
    case "header": {
      const { headerName } = policySpecifier.value;
      place.field("header.header_name").require(headerName !== "", "want the name of a header");
      return { kind: "header", name: headerName.toLowerCase(), terminal };
    }
    case "cookie": {
      const { name, path, ttl, attributes } = policySpecifier.value;
      const at = place.field("cookie");
      at.field("name").require(isToken(name), "want a name of letters, digits and a few signs");
      at.field("path").require(isAttributeText(path), "want no semicolon and no control characters");
      attributes.forEach((attribute, index) => {
        const valid = isToken(attribute.name) && isAttributeText(attribute.value);
        at.field("attributes").item(index).require(valid, "want no semicolon and no control characters");
      });
      const lifetime = milliseconds(ttl, null, at.field("ttl"));
      return {
        kind: "cookie",
        name,
        path,
        ttl: lifetime === null ? null : Math.floor(lifetime / 1000),
        attributes: attributes.map((attribute) => ({ name: attribute.name, value: attribute.value })),
        terminal,
      };
    }
    case "connectionProperties":
      place.field("connection_properties.source_ip").require(policySpecifier.value.sourceIp, "want true");
      return { kind: "sourceAddress", terminal };
    case "queryParameter": {
      const { name } = policySpecifier.value;
      place.field("query_parameter.name").require(name !== "", "want the name of a parameter");
      return { kind: "queryParameter", name, terminal };
    }
    default:
      return place.refuse("want one of header, cookie, connection_properties and query_parameter");
  }
}

/** RFC 6265 §4.1.1: what a cookie or an attribute may be called. */
function isToken(name: string): boolean {
  return /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/.test(name);
}

/** The value goes into a header line as it stands. */
function isAttributeText(value: string): boolean {
  return /^[\x20-\x3a\x3c-\x7e]*$/.test(value);
}
