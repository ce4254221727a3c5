/** A gRPC server in a process of its own, whose one unary method answers with what it was sent. Arguments: address, port. */
import type { Buffer } from "node:buffer";
import process from "node:process";
import { type sendUnaryData, Server, ServerCredentials, type ServerUnaryCall } from "@grpc/grpc-js";

const asIs = (bytes: Buffer) => bytes;
const echo = new Server();
echo.addService({
  Unary: {
    path: "/test.Echo/Unary",
    requestStream: false,
    responseStream: false,
    requestSerialize: asIs,
    requestDeserialize: asIs,
    responseSerialize: asIs,
    responseDeserialize: asIs,
  },
}, {
  Unary: (call: ServerUnaryCall<Buffer, Buffer>, answer: sendUnaryData<Buffer>) => answer(null, call.request),
});
echo.bindAsync(`${process.argv[2]}:${process.argv[3]}`, ServerCredentials.createInsecure(), (error) => {
  if (error !== null) throw error;
});
