/** Conditions of an HTTP route. */
import { list, map, message } from "../../yaml/collections.ts";
import type { Cursor } from "../../yaml/cursor.ts";
import { boolean, nonEmpty, type Schema, string } from "../../yaml/schema.ts";
import type { HTTPMatchRequest, StringMatch } from "../types.ts";
import { headerName, istioLabel, labels, portNumber } from "./names.ts";
import { presenceOrMatch, stringMatch } from "./string_match.ts";

/** A text rule: `mesh`, `name` or `namespace/name`. */
export function gatewayName(value: string): string | undefined {
  const good = /^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\/)?[a-zA-Z0-9]([-.a-zA-Z0-9]*[a-zA-Z0-9])?$/.test(value);
  return good ? undefined : "be mesh, NAME or NAMESPACE/NAME of a Gateway";
}

export const gateways: Schema<string[]> = list(string(gatewayName));

/** Istio's names for claims of a checked token, written among headers. */
export const claim = /^@request\.auth\.claims(\.|\[).+$/;

/** Of RFC 9113 §8.3, which Envoy keeps among the headers. */
const pseudoHeaders = [":method", ":scheme", ":authority", ":path", ":status"];

/** A text rule: header, or claim of a token. */
function headerOrClaim(value: string): string | undefined {
  return claim.test(value) || pseudoHeaders.includes(value) ? undefined : headerName(value);
}

const headerMatches: Schema<Record<string, StringMatch>> = map(presenceOrMatch, headerOrClaim);

export const httpMatch: Schema<HTTPMatchRequest> = message<HTTPMatchRequest>({
  name: string(),
  uri: stringMatch,
  scheme: stringMatch,
  method: stringMatch,
  authority: stringMatch,
  headers: headerMatches,
  port: portNumber,
  sourceLabels: labels,
  gateways,
  queryParams: map(presenceOrMatch, nonEmpty),
  ignoreUriCase: boolean,
  withoutHeaders: headerMatches,
  sourceNamespace: string(istioLabel),
  statPrefix: string(),
}, (match, cursor) => {
  if (cursor.node.type === "map" && cursor.node.entries.size === 0) {
    cursor.error("must not be empty: leave match out to match every request");
  }
  for (const field of ["headers", "withoutHeaders"]) warnOfNames(cursor.at(field), field === "headers");
  if (match.ignoreUriCase && match.uri?.regex !== undefined) {
    cursor.atKey("ignoreUriCase").warning("does nothing beside uri.regex: begin the expression with (?i)");
  }
});

const ignoredHeaderKeys = ["uri", "scheme", "method", "authority"];

function warnOfNames(cursor: Cursor, ignoresKeys: boolean): void {
  if (cursor.node.type !== "map") return;
  for (const key of cursor.node.entries.keys()) {
    if (claim.test(key)) {
      cursor.atKey(key).warning("no token is checked in this version: a request has no claims");
    } else if (ignoresKeys && ignoredHeaderKeys.includes(key)) {
      cursor.atKey(key).warning(`is ignored among headers: write it as match.${key}`);
    } else if (/[A-Z]/.test(key)) {
      cursor.atKey(key).warning(`names of headers are compared in lower case: write ${key.toLowerCase()}`);
    }
  }
}
