/**
 * A proxyless gRPC client, run as a process of its own: makes one unary call to the target that its argument names, and
 * prints the answer or the status as JSON. `GRPC_XDS_BOOTSTRAP` names its bootstrap.
 */
import { Buffer } from "node:buffer";
import process from "node:process";
import { Client, credentials } from "@grpc/grpc-js";
import { register } from "@grpc/grpc-js-xds";

register();
const asIs = (bytes: Buffer) => bytes;
const client = new Client(process.argv[2], credentials.createInsecure());
const deadline = { deadline: Date.now() + 15_000 };
client.makeUnaryRequest("/test.Echo/Unary", asIs, asIs, Buffer.from("hello"), deadline, (error, answer) => {
  console.log(
    JSON.stringify(error === null ? { answer: String(answer) } : { code: error.code, details: error.details }),
  );
  process.exit(0);
});
