/** What an HTTP route does with a request, besides choosing a destination. */
import { atMostOne, exactlyOne, list, message, required } from "../../yaml/collections.ts";
import type { Cursor } from "../../yaml/cursor.ts";
import { boolean, enumeration, integer, refine, type Schema, string, text } from "../../yaml/schema.ts";
import { duration, parseDuration } from "../duration.ts";
import type {
  CorsPolicy,
  HTTPDirectResponse,
  HTTPFaultInjection,
  HTTPRedirect,
  HTTPRetry,
  HTTPRewrite,
} from "../types.ts";
import { isGrpcStatus, unknownRetryCondition } from "./conditions.ts";
import { headerName, portNumber } from "./names.ts";
import { percent, re2, stringMatch } from "./string_match.ts";

export const redirect: Schema<HTTPRedirect> = message<HTTPRedirect>({
  uri: string(),
  prefixRewrite: string(),
  authority: string(),
  port: portNumber,
  derivePort: enumeration("FROM_PROTOCOL_DEFAULT", "FROM_REQUEST_PORT"),
  scheme: enumeration("http", "https"),
  redirectCode: integer(300, 399),
}, ({ redirectCode }, cursor) => {
  atMostOne(cursor, "uri", "prefixRewrite");
  atMostOne(cursor, "port", "derivePort");
  const changes = ["uri", "prefixRewrite", "authority", "port", "derivePort", "scheme"];
  if (!changes.some((name) => cursor.has(name))) cursor.error(`must set at least one of ${changes.join(", ")}`);
  // Envoy's RedirectResponseCode has these and no other.
  if (redirectCode !== undefined && ![301, 302, 303, 307, 308].includes(redirectCode)) {
    cursor.at("redirectCode").warning(
      `${redirectCode} is no redirect that proxies send: use 301, 302, 303, 307 or 308`,
    );
  }
});

/** Istio's limits: a body above 100 kB is dubious, above 1 MB refused. */
const bodyLimits = { warning: 100_000, error: 1_000_000 };

export const directResponse: Schema<HTTPDirectResponse> = message<HTTPDirectResponse>({
  status: required(integer(200, 599)),
  body: message<{ string?: string; bytes?: string }>({ string: body, bytes: body }, ({ bytes }, cursor) => {
    exactlyOne(cursor, "string", "bytes");
    if (bytes !== undefined && !/^[A-Za-z0-9+/]*={0,2}$/.test(bytes)) cursor.at("bytes").error("must be base64");
  }),
});

function body(cursor: Cursor): string | undefined {
  const { node } = cursor;
  if (node.type !== "scalar" || typeof node.value !== "string") return text()(cursor);
  if (node.value.length > bodyLimits.error) {
    cursor.error(`must have at most ${bodyLimits.error} bytes, found ${node.value.length}`);
    return undefined;
  }
  if (node.value.length > bodyLimits.warning) cursor.warning(`${node.value.length} bytes are held in every proxy`);
  return node.value;
}

export const rewrite: Schema<HTTPRewrite> = message<HTTPRewrite>({
  uri: string(),
  authority: string(),
  uriRegexRewrite: message<{ match?: string; rewrite?: string }>(
    { match: string(re2), rewrite: string() },
    (_, cursor) => {
      for (const name of ["match", "rewrite"]) if (!cursor.has(name)) cursor.at(name).error("is required");
    },
  ),
}, (_, cursor) => {
  atMostOne(cursor, "uri", "uriRegexRewrite");
  if (!["uri", "authority", "uriRegexRewrite"].some((name) => cursor.has(name))) {
    cursor.error("must set uri, authority or uriRegexRewrite");
  }
});

export const retry: Schema<HTTPRetry> = message<HTTPRetry>({
  attempts: integer(0, 2 ** 31 - 1),
  perTryTimeout: duration(),
  retryOn: string(),
  retryRemoteLocalities: boolean,
  retryIgnorePreviousHosts: boolean,
  backoff: duration(),
}, ({ attempts, retryOn }, cursor) => {
  const needs = ["perTryTimeout", "retryOn", "retryRemoteLocalities"].filter((name) => cursor.has(name));
  if ((attempts ?? 0) === 0 && needs.length > 0) {
    const at = cursor.has("attempts") ? cursor.atKey("attempts") : cursor.atKey(needs[0]);
    at.error(`${needs.join(", ")} without attempts, of which there are 0: that switches retries off`);
  }
  const unknown = retryOn === undefined ? undefined : unknownRetryCondition(retryOn);
  if (unknown !== undefined) cursor.at("retryOn").error(unknown);
});

export const fault: Schema<HTTPFaultInjection> = message<HTTPFaultInjection>({
  delay: message<NonNullable<HTTPFaultInjection["delay"]>>({
    percent: integer(0, 100),
    fixedDelay: duration(),
    exponentialDelay: duration(),
    percentage: percent,
  }, (_, cursor) => {
    if (cursor.has("exponentialDelay")) cursor.atKey("exponentialDelay").error("is not supported: use fixedDelay");
    else if (!cursor.has("fixedDelay")) cursor.warning("without fixedDelay no request is delayed");
    if (cursor.has("percent")) cursor.atKey("percent").warning("is deprecated: use percentage.value");
    warnOfNoShare(cursor, "delayed", "percent");
  }),
  abort: message<NonNullable<HTTPFaultInjection["abort"]>>({
    httpStatus: integer(200, 599),
    grpcStatus: string(isGrpcStatus),
    http2Error: string(),
    percentage: percent,
  }, (_, cursor) => {
    if (cursor.has("http2Error")) cursor.atKey("http2Error").error("is not supported: use httpStatus or grpcStatus");
    else if (!cursor.has("httpStatus") && !cursor.has("grpcStatus")) {
      cursor.warning("without httpStatus or grpcStatus no request is aborted");
    } else atMostOne(cursor, "httpStatus", "grpcStatus");
    warnOfNoShare(cursor, "aborted");
  }),
}, (_, cursor) => {
  if (!cursor.has("delay") && !cursor.has("abort")) cursor.error("must set delay or abort");
});

function warnOfNoShare(cursor: Cursor, verb: string, ...deprecated: string[]): void {
  if (["percentage", ...deprecated].some((name) => cursor.has(name))) return;
  cursor.warning(`without percentage no request is ${verb}`);
}

const origin = refine(stringMatch, ({ exact }, cursor) => {
  if (exact === "") cursor.at("exact").error("must not be empty: no origin is");
});

/** As the header that it becomes. */
const wholeSeconds = refine(duration(), (value, cursor) => {
  if (parseDuration(value) % 1000 !== 0) cursor.error(`must be whole seconds, found ${JSON.stringify(value)}`);
});

export const corsPolicy: Schema<CorsPolicy> = message<CorsPolicy>({
  allowOrigin: list(string()),
  allowOrigins: list(origin),
  allowMethods: list(enumeration("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "*")),
  allowHeaders: list(string((value) => value === "*" ? undefined : headerName(value))),
  exposeHeaders: list(string((value) => value === "*" ? undefined : headerName(value))),
  maxAge: wholeSeconds,
  allowCredentials: boolean,
  unmatchedPreflights: enumeration("UNSPECIFIED", "FORWARD", "IGNORE"),
});
