/** RequestAuthentication, by the rules of Istio's validator. */
import { atMostOne, list, message, required } from "../../../yaml/collections.ts";
import { boolean, nonEmpty, type Schema, string, text } from "../../../yaml/schema.ts";
import { duration } from "../../duration.ts";
import type { JwtRule, RequestAuthenticationSpec } from "../../security_types.ts";
import { headerName } from "../names.ts";
import { checkTarget, targetFields } from "./policy_target.ts";

/** A text rule: where keys are fetched. */
function keyUrl(value: string): string | undefined {
  const good = value.length <= 2048 && /^https?:\/\/[^/]/.test(value) && URL.canParse(value);
  return good ? undefined : "be an http or https URL of at most 2048 characters";
}

/** A text rule: a JSON Web Key Set (RFC 7517 §5). */
function keySet(value: string): string | undefined {
  try {
    if (Array.isArray((JSON.parse(value) as { keys?: unknown } | null)?.keys)) return undefined;
  } catch {
    // Said below.
  }
  return 'be a JSON Web Key Set: {"keys":[…]}';
}

const claimHeader = (value: string) =>
  /^[-_A-Za-z0-9]+$/.test(value) ? undefined : "be a header name of letters, digits, - and _";

const jwtRule: Schema<JwtRule> = message<JwtRule>({
  issuer: string(nonEmpty),
  audiences: list(string(nonEmpty)),
  jwksUri: string(keyUrl),
  jwks: text(keySet),
  fromHeaders: list(message<{ name: string; prefix?: string }>({ name: required(string(headerName)), prefix: text() })),
  fromParams: list(string(nonEmpty)),
  fromCookies: list(string(nonEmpty)),
  outputPayloadToHeader: string(headerName),
  forwardOriginalToken: boolean,
  outputClaimToHeaders: list(message<{ header: string; claim: string }>({
    header: required(string(claimHeader)),
    claim: required(string(nonEmpty)),
  })),
  timeout: duration(),
  spaceDelimitedClaims: list(string(nonEmpty), { maximum: 64 }),
}, (_, cursor) => {
  if (!cursor.has("issuer") && !cursor.has("jwksUri")) cursor.at("issuer").error("issuer or jwksUri is required");
  atMostOne(cursor, "jwksUri", "jwks");
});

export const requestAuthentication: Schema<RequestAuthenticationSpec> = message<RequestAuthenticationSpec>({
  ...targetFields,
  jwtRules: list(jwtRule),
}, (_, cursor) => {
  checkTarget(cursor);
  if (cursor.at("jwtRules").items().length > 0) {
    cursor.atKey("jwtRules").warning(
      "JSON Web Tokens are not verified in this version: requests that carry one where the rules look are denied",
    );
  }
});
