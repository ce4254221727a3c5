/** Headers that the proxy itself looks at, each with a number, found from its bytes without making a string. */
import { ascii, sameBytes } from "./characters.ts";

/** 0 is every other header. */
export const Known = {
  other: 0,
  host: 1,
  contentLength: 2,
  transferEncoding: 3,
  connection: 4,
  keepAlive: 5,
  proxyConnection: 6,
  te: 7,
  trailer: 8,
  upgrade: 9,
  expect: 10,
  requestId: 11,
  forwardedFor: 12,
  forwardedProto: 13,
  forwardedClientCert: 14,
  server: 15,
  date: 16,
  upstreamServiceTime: 17,
  expectedTimeout: 18,
  attemptCount: 19,
  contentType: 20,
  grpcStatus: 21,
  userAgent: 22,
  /** `content_length` and the like: some server reads them as the real one. */
  framingLookalike: 23,
  grpcTimeout: 24,
} as const;

export const knownCount = 25;

const names: [number, string][] = [
  [Known.host, "host"],
  [Known.contentLength, "content-length"],
  [Known.transferEncoding, "transfer-encoding"],
  [Known.connection, "connection"],
  [Known.keepAlive, "keep-alive"],
  [Known.proxyConnection, "proxy-connection"],
  [Known.te, "te"],
  [Known.trailer, "trailer"],
  [Known.upgrade, "upgrade"],
  [Known.expect, "expect"],
  [Known.requestId, "x-request-id"],
  [Known.forwardedFor, "x-forwarded-for"],
  [Known.forwardedProto, "x-forwarded-proto"],
  [Known.forwardedClientCert, "x-forwarded-client-cert"],
  [Known.server, "server"],
  [Known.date, "date"],
  [Known.upstreamServiceTime, "x-envoy-upstream-service-time"],
  [Known.expectedTimeout, "x-envoy-expected-rq-timeout-ms"],
  [Known.attemptCount, "x-envoy-attempt-count"],
  [Known.contentType, "content-type"],
  [Known.grpcStatus, "grpc-status"],
  [Known.userAgent, "user-agent"],
  [Known.grpcTimeout, "grpc-timeout"],
  [Known.framingLookalike, "content_length"],
  [Known.framingLookalike, "transfer_encoding"],
];

/** Candidates by a hash of length, first and last byte. */
const candidates: { id: number; name: Uint8Array }[][] = Array.from({ length: 256 }, () => []);

function hash(length: number, first: number, last: number): number {
  return (length * 37 + first * 11 + last * 3) & 255;
}

for (const [id, name] of names) {
  const bytes = ascii(name);
  candidates[hash(bytes.length, bytes[0], bytes[bytes.length - 1])].push({ id, name: bytes });
}

/** The number of a header whose lower-case name stands at `start` to `end`. */
export function knownHeader(bytes: Uint8Array, start: number, end: number): number {
  const length = end - start;
  const list = candidates[hash(length, bytes[start], bytes[end - 1])];
  for (let i = 0; i < list.length; i++) {
    if (sameBytes(bytes, start, length, list[i].name)) return list[i].id;
  }
  return Known.other;
}
