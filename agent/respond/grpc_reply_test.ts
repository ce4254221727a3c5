import assert from "node:assert/strict";
import { grpcReplyHeaders } from "./grpc_reply.ts";

Deno.test("a reply for gRPC has its status and its message in headers", () => {
  assert.equal(grpcReplyHeaders(14, ""), "content-type: application/grpc\r\ngrpc-status: 14\r\n");
  const message = "100% no\r\nx-forged: 1";
  assert.match(grpcReplyHeaders(2, message), /\r\ngrpc-message: 100%25 no%0D%0Ax-forged: 1\r\n$/);
});
