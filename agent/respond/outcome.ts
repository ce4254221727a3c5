/**
 * Every way in which the proxy itself ends a request: one table from reason to status, body and response flag, with
 * Envoy's texts and flags (access log command operator RESPONSE_FLAGS).
 */
import { ParseResult } from "../decode/http1/parse_head.ts";

/** Response flags as bits, so that a request can collect several. */
export const Flag = {
  none: 0,
  // Envoy writes flags in the order in which they are raised: what stopped the retries goes before what they were for.
  URX: 16,
  UH: 1,
  UF: 2,
  UO: 4,
  NR: 8,
  NC: 32,
  UC: 64,
  UT: 128,
  UR: 256,
  DI: 512,
  FI: 1024,
  DC: 2048,
  DPE: 4096,
  SI: 8192,
  UPE: 16384,
  RL: 32768,
  UMSDR: 65536,
  DT: 131072,
  DF: 262144,
} as const;

const flagNames = Object.entries(Flag).filter(([, bit]) => bit !== 0);
const flagTexts = new Map<number, string>([[0, "-"]]);

/** Flags as logs and metrics write them: `URX,UF`, `-` for none. */
export function flagText(flags: number): string {
  let text = flagTexts.get(flags);
  if (text === undefined) {
    text = flagNames.filter(([, bit]) => (flags & bit) !== 0).map(([name]) => name).join();
    flagTexts.set(flags, text);
  }
  return text;
}

export interface Outcome {
  status: number;
  flag: number;
  body: string;
  /** Instead of {@link body} after several attempts. */
  retriedBody?: string;
  /** Whether the downstream connection must not be used again. */
  close: boolean;
  /** Adds `x-envoy-overloaded: true`. */
  overloaded?: boolean;
  /** For a gRPC caller; absent: what {@link status} means there. */
  grpcStatus?: number;
}

/** DEADLINE_EXCEEDED of gRPC. */
const deadlineExceeded = 4;
const disconnect = "upstream connect error or disconnect/reset before headers. ";

/** No response has come, for this reason. */
const withoutResponse = (reason: string) => ({
  body: `${disconnect}reset reason: ${reason}`,
  retriedBody: `${disconnect}retried and the latest reset reason: ${reason}`,
});

export const outcomes = {
  noRoute: { status: 404, flag: Flag.NR, body: "", close: false },
  noCluster: { status: 503, flag: Flag.NC, body: "", close: false },
  noHealthyUpstream: { status: 503, flag: Flag.UH, body: "no healthy upstream", close: false },
  unresolved: { status: 503, flag: Flag.DF, body: "DNS resolution failure", close: false },
  unresolvedOverflow: {
    status: 503,
    flag: Flag.none,
    body: "Dynamic forward proxy pending request overflow",
    close: false,
  },
  connectFailure: { status: 503, flag: Flag.UF, ...withoutResponse("remote connection failure"), close: false },
  connectTimeout: { status: 503, flag: Flag.UF, ...withoutResponse("connection timeout"), close: false },
  reset: { status: 503, flag: Flag.UC, ...withoutResponse("connection termination"), close: false },
  overflow: {
    status: 503,
    flag: Flag.UO,
    body: `${disconnect}reset reason: overflow`,
    close: false,
    overloaded: true,
  },
  overload: { status: 503, flag: Flag.UO, body: "overloaded", close: true, overloaded: true },
  upstreamProtocolError: {
    status: 502,
    flag: Flag.UPE,
    ...withoutResponse("protocol error"),
    close: false,
  },
  upstreamTimeout: { status: 504, flag: Flag.UT, body: "upstream request timeout", close: false },
  faultAbort: { status: 0, flag: Flag.FI, body: "fault filter abort", close: false },
  badRequest: { status: 400, flag: Flag.DPE, body: "Bad Request", close: true },
  ambiguousPath: { status: 400, flag: Flag.none, body: "", close: false },
  payloadTooLarge: { status: 413, flag: Flag.none, body: "Payload Too Large", close: true },
  requestHeadersTooLarge: { status: 431, flag: Flag.DPE, body: "Request Header Fields Too Large", close: true },
  notImplemented: { status: 501, flag: Flag.DPE, body: "Not Implemented", close: true },
  versionNotSupported: { status: 505, flag: Flag.DPE, body: "HTTP Version Not Supported", close: true },
  upgradeNotAllowed: { status: 403, flag: Flag.none, body: "", close: true },
  requestTimeout: { status: 408, flag: Flag.none, body: "request timeout", close: true },
  // As in Envoy, 408 while the request is not whole: it is the caller who is late.
  requestIdleTimeout: { status: 408, flag: Flag.SI, body: "stream timeout", close: true },
  responseIdleTimeout: { status: 504, flag: Flag.SI, body: "stream timeout", close: false },
  requestDurationTimeout: {
    status: 408,
    flag: Flag.none,
    body: "downstream duration timeout",
    close: true,
    grpcStatus: deadlineExceeded,
  },
  responseDurationTimeout: {
    status: 504,
    flag: Flag.none,
    body: "downstream duration timeout",
    close: false,
    grpcStatus: deadlineExceeded,
  },
  upstreamDuration: { status: 504, flag: Flag.UMSDR, body: "upstream max stream duration reached", close: false },
  upstreamDurationInRequest: {
    status: 408,
    flag: Flag.UMSDR,
    body: "upstream max stream duration reached",
    close: true,
  },
  expectationFailed: { status: 417, flag: Flag.DPE, body: "Expectation Failed", close: true },
} as const satisfies Record<string, Outcome>;

/** The outcome for what a parser returned. */
export function parseOutcome(result: number): Outcome {
  switch (result) {
    case ParseResult.headersTooLarge:
      return outcomes.requestHeadersTooLarge;
    case ParseResult.notImplemented:
      return outcomes.notImplemented;
    case ParseResult.versionNotSupported:
      return outcomes.versionNotSupported;
    default:
      return outcomes.badRequest;
  }
}
