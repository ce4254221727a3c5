/** A gRPC server with nothing but health, a process of its own: the service `ok` is serving, `off` is not. */
import { createServer, type ServerHttp2Stream } from "node:http2";

const grpc = { "content-type": "application/grpc" };
const statuses: Record<string, number> = { ok: 1, off: 2, "": 1 };

const server = createServer();
server.on("stream", (stream: ServerHttp2Stream) => {
  const chunks: Uint8Array[] = [];
  stream.on("data", (chunk: Uint8Array) => chunks.push(chunk));
  stream.on("end", () => {
    // Five bytes of framing, then the field `service` with its tag and length.
    const service = new TextDecoder().decode(new Uint8Array(chunks.flatMap((chunk) => [...chunk])).subarray(7));
    const status = statuses[service];
    if (status === undefined) {
      stream.respond({ ":status": 200, ...grpc, "grpc-status": 5, "grpc-message": "unknown" }, { endStream: true });
      return;
    }
    stream.respond({ ":status": 200, ...grpc }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.end(new Uint8Array([0, 0, 0, 0, 2, 8, status]));
  });
});
server.listen(0, "127.0.0.1", () => {
  const address = server.address();
  console.log(typeof address === "object" && address !== null ? address.port : "");
});
