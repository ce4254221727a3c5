import assert from "node:assert/strict";
import { EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT } from "../sys/epoll.ts";
import { END_OF_STREAM, FAILED, WOULD_BLOCK } from "../sys/socket.ts";
import { SlabPool } from "./buffers.ts";
import { type Deferred, EventLoop, type Watcher } from "./event_loop.ts";
import { InProcessEnd } from "./in_process.ts";
import { Timer } from "./timer_wheel.ts";

/** Two ends, and the work that they leave to the end of a turn. */
class Ends {
  readonly slabs = new SlabPool();
  readonly loop = {
    deferInProcess: (work: Deferred) => {
      if (!work.deferred) this.#work.push(work);
      work.deferred = true;
    },
  };
  readonly one = new InProcessEnd(this.loop, this.slabs);
  readonly other = new InProcessEnd(this.loop, this.slabs);
  readonly #work: Deferred[] = [];

  constructor() {
    InProcessEnd.join(this.one, this.other);
  }

  /** Turns of a loop until there is nothing left to do. */
  run(): void {
    for (let work; (work = this.#work.shift()) !== undefined;) {
      work.deferred = false;
      work.runDeferred();
    }
  }
}

class Recorder implements Watcher {
  readonly heard: number[] = [];
  constructor(private readonly react: (events: number) => void = () => {}) {}
  onEvents(events: number): void {
    this.heard.push(events);
    this.react(events);
  }
  abandon(): void {}
}

const buffer = new Uint8Array(256 * 1024);
const text = (count: number) => new TextDecoder().decode(buffer.subarray(0, count));

Deno.test("what one end writes the other reads, told of it when the turn ends", () => {
  const ends = new Ends();
  const received: string[] = [];
  const recorder = new Recorder(() => received.push(text(ends.other.read(buffer, null, 0, buffer.length))));
  ends.other.watch(ends.loop, EPOLLIN, recorder);
  const hello = new TextEncoder().encode("hello, ");
  assert.equal(ends.one.write(hello, null, 0, 7), 7);
  assert.equal(ends.one.write(new TextEncoder().encode("-world-"), null, 1, 5), 5);
  assert.deepEqual(recorder.heard, [], "not from within the call");
  ends.run();
  assert.deepEqual(received, ["hello, world"]);
  assert.equal(ends.other.read(buffer, null, 0, 10), WOULD_BLOCK);
  assert.equal(ends.slabs.inUse, 0);
});

Deno.test("who does not read holds up who writes, who is told when there is room", () => {
  const ends = new Ends();
  let sent = 0;
  for (let count; (count = ends.one.write(buffer, null, 0, 50_000)) !== WOULD_BLOCK;) sent += count;
  assert.equal(sent, 128 * 1024);
  const writer = new Recorder(() => ends.one.change(ends.loop, 0));
  ends.one.watch(ends.loop, EPOLLOUT, writer);
  ends.run();
  assert.deepEqual(writer.heard, []);
  assert.equal(ends.other.read(buffer, null, 0, 1000), 1000);
  ends.run();
  assert.deepEqual(writer.heard, [EPOLLOUT]);
  assert.equal(ends.one.write(buffer, null, 0, 5000), 1000);
});

Deno.test("readiness is told as long as it lasts, and only to who asks", () => {
  const ends = new Ends();
  let rounds = 0;
  const reader = new Recorder(() => {
    if (++rounds === 3) ends.other.read(buffer, null, 0, 10);
  });
  ends.one.write(buffer, null, 0, 1);
  ends.other.watch(ends.loop, 0, reader);
  ends.run();
  assert.equal(rounds, 0);
  ends.other.change(ends.loop, EPOLLIN);
  ends.run();
  assert.equal(rounds, 3);
  ends.other.unwatch();
  ends.one.write(buffer, null, 0, 1);
  ends.run();
  assert.equal(rounds, 3);
});

Deno.test("after the last bytes comes the end; what is written to who has left fails", () => {
  const ends = new Ends();
  ends.one.write(new TextEncoder().encode("bye"), null, 0, 3);
  ends.one.close();
  assert.equal(text(ends.other.read(buffer, null, 0, 10)), "bye");
  assert.equal(ends.other.read(buffer, null, 0, 10), END_OF_STREAM);
  assert.equal(ends.other.write(buffer, null, 0, 1), FAILED);
  ends.other.close();
  assert.throws(() => ends.one.write(buffer, null, 0, 1), /after it was closed/);
  assert.equal(ends.slabs.inUse, 0);
});

Deno.test("an end that stops sending still receives", () => {
  const ends = new Ends();
  ends.one.shutdownWrite();
  assert.equal(ends.other.read(buffer, null, 0, 10), END_OF_STREAM);
  assert.equal(ends.other.write(buffer, null, 0, 3), 3);
  assert.equal(ends.one.read(buffer, null, 0, 10), 3);
});

for (const [how, breakOff] of [["a reset", "reset"], ["closing over unread bytes", "close"]] as const) {
  Deno.test(`${how} is told as a break, whether one asks or not, and loses what was on its way`, () => {
    const ends = new Ends();
    ends.one.write(buffer, null, 0, 100);
    ends.other.write(buffer, null, 0, 100);
    const reader = new Recorder(() => ends.other.unwatch());
    ends.other.watch(ends.loop, 0, reader);
    ends.one[breakOff]();
    ends.run();
    assert.deepEqual(reader.heard, [EPOLLERR | EPOLLHUP]);
    assert.equal(ends.other.read(buffer, null, 0, 10), FAILED);
    assert.equal(ends.other.write(buffer, null, 0, 10), FAILED);
    assert.equal(ends.slabs.inUse, 0);
  });
}

Deno.test("two ends that never stop answering each other leave the loop its timers and its other work", () => {
  const loop = new EventLoop((error) => {
    throw error;
  });
  const slabs = new SlabPool();
  const one = new InProcessEnd(loop, slabs);
  const other = new InProcessEnd(loop, slabs);
  InProcessEnd.join(one, other);
  let exchanges = 0;
  for (const end of [one, other]) {
    const answer = new Recorder(() => {
      end.write(buffer, null, 0, end.read(buffer, null, 0, 10));
      exchanges++;
    });
    end.watch(loop, EPOLLIN, answer);
  }
  one.write(buffer, null, 0, 1);
  loop.setTimer(new Timer(() => loop.stop()), 20);
  loop.run();
  assert.ok(exchanges > 100, `${exchanges}`);
  loop.close();
});
