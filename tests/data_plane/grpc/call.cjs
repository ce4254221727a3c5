/** Makes the calls that its arguments (JSON) describe, one after another, and prints what became of each as JSON. */
const grpc = require("@grpc/grpc-js");
const { service } = require("./echo_service.cjs");

const [port, calls] = [process.argv[2], JSON.parse(process.argv[3])];
const Client = grpc.makeGenericClientConstructor(service, "Echo");
const client = new Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure(), {
  "grpc.max_receive_message_length": -1,
  "grpc.enable_retries": 0,
});

function make({ kind, sizes = [], metadata = {}, deadline = 20_000, cancelAfter = -1 }) {
  return new Promise((resolve) => {
    const headers = new grpc.Metadata();
    for (const [name, value] of Object.entries(metadata)) headers.set(name, value);
    const result = { received: [], right: true };
    const options = { deadline: Date.now() + deadline };
    const done = (_error, answer) => {
      if (answer) result.received.push(answer.length);
    };
    const call = kind === "unary"
      ? client.unary(Buffer.alloc(sizes[0] ?? 0, 7), headers, options, done)
      : kind === "collect"
      ? client.collect(headers, options, done)
      : kind === "spread"
      ? client.spread(Buffer.alloc(sizes[0] ?? 0, 7), headers, options)
      : client.chat(headers, options);
    call.on(
      "status",
      ({ code, details, metadata }) => resolve({ ...result, code, details, trailers: metadata.getMap() }),
    );
    call.on("error", () => {});
    if (kind === "spread" || kind === "chat") {
      call.on("data", (part) => {
        result.received.push(part.length);
        if (result.received.length === cancelAfter) call.cancel();
        else if (kind === "chat") next();
      });
    }
    let sent = 0;
    const next = () => {
      if (sent < sizes.length) call.write(Buffer.alloc(sizes[sent], sent++));
      else call.end();
    };
    // A conversation: each message waits for the answer to the one before it.
    if (kind === "chat") next();
    if (kind === "collect") {
      for (const size of sizes) call.write(Buffer.alloc(size, 7));
      call.end();
    }
  });
}

(async () => {
  const results = [];
  for (const group of calls) results.push(await Promise.all(group.map(make)));
  console.log(JSON.stringify(results));
  client.close();
})();
