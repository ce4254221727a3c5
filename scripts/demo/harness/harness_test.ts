import assert from "node:assert/strict";
import { ChildProcess } from "./child_process.ts";
import { claimLoopbackBlock } from "./loopback.ts";
import { until } from "./until.ts";

const script = (source: string) => new ChildProcess("child", Deno.execPath(), ["eval", source]);

Deno.test("a line that a process prints is found, on either output", async () => {
  const child = script(`console.log("one"); console.error("two")`);
  assert.equal(await child.line(/^o/), "one");
  assert.equal(await child.line(/^t/), "two");
  assert.equal(await child.ended, 0);
  assert.equal(child.stdout(), "one");
});

Deno.test("waiting for a line fails when the process ends first, and says what it printed", async () => {
  const child = script(`console.error("other"); Deno.exit(3)`);
  await assert.rejects(child.line(/ready/), /child ended \(3\) before \/ready\/:\s+other/);
});

Deno.test("waiting for a line fails when time is over", async () => {
  const child = script(`setInterval(() => {}, 1000)`);
  try {
    await assert.rejects(child.line(/ready/, 100), /no \/ready\/ within 100 ms/);
  } finally {
    await child.kill();
  }
  assert.equal(child.running, false);
});

Deno.test("a process that ignores SIGTERM is killed", async () => {
  const child = script(`Deno.addSignalListener("SIGTERM", () => {}); setInterval(() => {}, 1000); console.log("up")`);
  await child.line(/up/);
  assert.equal(await child.stop(100), 137);
});

Deno.test("until gives the first answer and fails with the last error", async () => {
  let asked = 0;
  assert.equal(await until("counted", () => ++asked === 3 && "three", { interval: 1 }), "three");
  const never = until("it happens", () => Promise.reject(new Error("not yet")), { timeout: 20, interval: 1 });
  await assert.rejects(never, /it happens: not within 20 ms \(not yet\)/);
});

Deno.test("two meshes at the same time get different addresses", () => {
  using one = claimLoopbackBlock();
  using other = claimLoopbackBlock();
  assert.notEqual(one.machine(1), other.machine(1));
});
