import assert from "node:assert/strict";
import { EPOLLIN } from "../sys/epoll.ts";
import { socketpair } from "../sys/libc.ts";
import { Socket } from "../sys/socket.ts";
import { type Deferred, EventLoop, type Watcher } from "./event_loop.ts";

/** Runs `action` on each event of a descriptor that is always readable, until the loop stops. */
function runReadable(action: (loop: EventLoop, turn: number) => void): void {
  const loop = new EventLoop((error) => {
    throw error;
  });
  const [near, far] = socketpair().map((descriptor) => new Socket(descriptor));
  let turn = 0;
  const watcher: Watcher = { onEvents: () => action(loop, ++turn), abandon: () => {} };
  loop.watch(near.descriptor, EPOLLIN, watcher);
  far.write(new Uint8Array(1), null, 0, 1);
  try {
    loop.run();
  } finally {
    loop.unwatch(near.descriptor);
    near.close();
    far.close();
    loop.close();
  }
}

function deferred(run: () => void): Deferred {
  return { deferred: false, runDeferred: run, abandon: () => {} };
}

Deno.test("work put off to a turn's end waits while events come in, for three turns and no more", () => {
  const turns: number[] = [];
  let now = 0;
  const work = deferred(() => turns.push(now));
  runReadable((loop, turn) => {
    now = turn;
    loop.deferToTurnEnd(work);
    if (turn === 12) loop.stop();
  });
  assert.deepEqual(turns, [4, 8, 12]);
});

Deno.test("what was put off is done before a stopped loop ends", () => {
  let ran = false;
  runReadable((loop) => {
    loop.deferToTurnEnd(deferred(() => ran = true));
    loop.stop();
  });
  assert.equal(ran, true);
});
