/** A gRPC server of @grpc/grpc-js without generated code: messages are bytes. Prints its port. */
const grpc = require("@grpc/grpc-js");
const { service } = require("./echo_service.cjs");

const calls = new Map();

/** What a call's metadata asks for: a status in trailers after what it answers, or at once. */
function outcome(call) {
  const code = Number(call.metadata.get("x-status")[0] ?? 0);
  const trailers = new grpc.Metadata();
  trailers.set("x-trailer", "of the server");
  return { code, details: code === 0 ? "" : `status ${code} was asked for`, metadata: trailers };
}

const server = new grpc.Server({ "grpc.max_receive_message_length": -1 });
server.addService(service, {
  unary(call, callback) {
    const failures = Number(call.metadata.get("x-failures")[0] ?? 0);
    const key = String(call.metadata.get("x-key")[0]);
    calls.set(key, (calls.get(key) ?? 0) + 1);
    const delay = Number(call.metadata.get("x-delay")[0] ?? 0);
    const answer = () => {
      if (calls.get(key) <= failures) return callback({ code: 14, details: "not yet" });
      const { code, details, metadata } = outcome(call);
      if (code !== 0) callback({ code, details, metadata });
      else callback(null, call.request, metadata);
    };
    if (delay > 0) setTimeout(answer, delay);
    else answer();
  },
  collect(call, callback) {
    const parts = [];
    call.on("data", (part) => parts.push(part));
    call.on("end", () => callback(null, Buffer.concat(parts)));
    call.on("error", () => {});
  },
  spread(call) {
    const count = Number(call.metadata.get("x-count")[0]);
    for (let i = 0; i < count; i++) call.write(Buffer.concat([call.request, Buffer.from(`${i}`)]));
    const { code, details, metadata } = outcome(call);
    if (code === 0) call.end(metadata);
    else call.emit("error", { code, details, metadata });
  },
  chat(call) {
    call.on("data", (part) => call.write(part));
    call.on("end", () => call.end());
    call.on("cancelled", () => console.log("cancelled"));
    call.on("error", () => {});
  },
});
// grpc.health.v1.Health: SERVING until somebody calls `unary` with x-serving: the service that is asked for goes there.
let serving = 1;
server.addService({
  check: {
    path: "/grpc.health.v1.Health/Check",
    requestStream: false,
    responseStream: false,
    requestSerialize: (bytes) => bytes,
    requestDeserialize: (bytes) => bytes,
    responseSerialize: (bytes) => bytes,
    responseDeserialize: (bytes) => bytes,
  },
}, {
  check(call, callback) {
    const asked = call.request.length > 2 ? call.request.subarray(2).toString() : "";
    if (asked !== (process.argv[2] ?? "")) return callback({ code: 5, details: "unknown service" });
    callback(null, Buffer.from([8, serving]));
  },
});
process.stdin.on("data", (text) => serving = Number(text));
server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error;
  console.log(`port ${port}`);
});
