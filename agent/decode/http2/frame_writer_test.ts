import assert from "node:assert/strict";
import { ByteQueue, SlabPool } from "../../worker/buffers.ts";
import { FrameWriter } from "./frame_writer.ts";
import { FrameFlag, FrameType } from "./protocol.ts";

interface Frame {
  type: number;
  flags: number;
  stream: number;
  size: number;
}

function written(out: ByteQueue): Frame[] {
  const frames: Frame[] = [];
  const { bytes } = out;
  for (let at = out.start; at < out.end;) {
    const size = bytes[at] << 16 | bytes[at + 1] << 8 | bytes[at + 2];
    frames.push({ type: bytes[at + 3], flags: bytes[at + 4], stream: bytes[at + 8], size });
    at += 9 + size;
  }
  return frames;
}

function writer(): { out: ByteQueue; frames: FrameWriter; block: ByteQueue } {
  const pool = new SlabPool();
  const out = new ByteQueue(pool);
  const block = new ByteQueue(pool);
  block.append(new Uint8Array(100), 0, 100);
  return { out, frames: new FrameWriter(out), block };
}

const bytes = new Uint8Array(100);
const empty = { type: FrameType.data, flags: FrameFlag.endStream, stream: 1, size: 0 };

Deno.test("a stream that ends right behind its data needs no further frame", () => {
  const { out, frames } = writer();
  frames.data(1, bytes, 0, 100, false);
  frames.endStream(1);
  assert.deepEqual(written(out), [{ ...empty, size: 100 }]);
});

Deno.test("what has gone out, or waits in a record, is not changed to end a stream", () => {
  const { out, frames, block } = writer();
  frames.data(1, bytes, 0, 100, false);
  out.clear();
  // Another stream's frame ends where the data did.
  frames.headers(3, block, false, 16384);
  frames.endStream(1);
  const head = { type: FrameType.headers, flags: FrameFlag.endHeaders, stream: 3, size: 100 };
  assert.deepEqual(written(out), [head, empty]);
  out.clear();
  frames.data(1, bytes, 0, 100, false);
  frames.seal();
  frames.endStream(1);
  assert.deepEqual(written(out), [{ ...empty, flags: 0, size: 100 }, empty]);
});

Deno.test("a header block is cut to the peer's frame size, and nothing stands between its parts", () => {
  const { out, frames, block } = writer();
  frames.headers(5, block, true, 40);
  assert.deepEqual(written(out), [
    { type: FrameType.headers, flags: FrameFlag.endStream, stream: 5, size: 40 },
    { type: FrameType.continuation, flags: 0, stream: 5, size: 40 },
    { type: FrameType.continuation, flags: FrameFlag.endHeaders, stream: 5, size: 20 },
  ]);
});
