import { equal, rejects } from "node:assert/strict";
import { checkGrpcHealth } from "./grpc_health.ts";

Deno.test("a gRPC server is healthy when it says that it serves", async () => {
  const server = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", new URL("testdata/grpc_health_server.ts", import.meta.url).pathname],
    stdout: "piped",
    stderr: "null",
  }).spawn();
  try {
    const output = server.stdout.getReader();
    const port = Number(new TextDecoder().decode((await output.read()).value));
    await output.cancel();
    const check = (service: string) => checkGrpcHealth(`127.0.0.1:${port}`, service, AbortSignal.timeout(5000));
    equal(await check(""), null);
    equal(await check("ok"), null);
    equal(await check("off"), `127.0.0.1:${port}: NOT_SERVING`);
    await rejects(check("none"), /unknown/);
  } finally {
    server.kill();
    await server.status;
  }
  await rejects(checkGrpcHealth("127.0.0.1:1", "", AbortSignal.timeout(5000)));
});
