/** What makes a message gRPC, and its status (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md). */
import { ascii, sameBytes } from "./characters.ts";
import type { Fields } from "./head.ts";
import { Known } from "./known_headers.ts";

const contentType = ascii("application/grpc");

/** Whether a request's head says that it is gRPC. */
export function isGrpc(fields: Fields): boolean {
  const index = fields.first[Known.contentType];
  if (index < 0) return false;
  const start = fields.valueStart(index);
  if (fields.valueEnd(index) - start < contentType.length) return false;
  return sameBytes(fields.bytes, start, contentType.length, contentType);
}

/** `grpc-status` of trailers, or of a head that is all of the response; -1 when there is none. */
export function grpcStatusOf(fields: Fields): number {
  const text = fields.known(Known.grpcStatus);
  return text !== null && /^\d{1,2}$/.test(text) ? Number(text) : -1;
}
