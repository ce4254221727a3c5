import assert from "node:assert/strict";
import fc from "fast-check";
import { ByteQueue, SlabPool } from "./buffers.ts";

const size = 4 * 1024;

Deno.test("slabs come in powers of two from 4 KiB and are used again", () => {
  const pool = new SlabPool();
  const sizes = [1, size, size + 1, 2 * size, 2 * size + 1, 1_000_000].map((wanted) => pool.take(wanted).bytes.length);
  assert.deepEqual(sizes, [size, size, 2 * size, 2 * size, 4 * size, 1024 * 1024]);
  const slab = pool.take(100);
  pool.give(slab);
  assert.equal(pool.take(200), slab);
});

Deno.test("a queue gives out what was put in, whatever is appended and consumed between", () => {
  const step = fc.oneof(
    fc.record({ append: fc.integer({ min: 0, max: 40_000 }) }),
    fc.record({ consume: fc.double({ min: 0, max: 1, noNaN: true }) }),
    fc.record({ text: fc.string({ maxLength: 50, unit: "binary-ascii" }) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const pool = new SlabPool();
      const queue = new ByteQueue(pool);
      let written = 0;
      let read = 0;
      const expected: number[] = [];
      for (const action of steps) {
        if ("append" in action) {
          const bytes = Uint8Array.from({ length: action.append + 2 }, (_, i) => written + i & 255);
          queue.append(bytes, 1, action.append);
          for (let i = 0; i < action.append; i++) expected.push(bytes[i + 1]);
          written += action.append;
        } else if ("text" in action) {
          queue.appendText(action.text);
          for (let i = 0; i < action.text.length; i++) expected.push(action.text.charCodeAt(i));
        } else {
          const count = Math.floor(action.consume * queue.length);
          for (let i = 0; i < count; i++) assert.equal(queue.bytes[queue.start + i], expected[read + i]);
          read += count;
          queue.consume(count);
        }
        assert.equal(queue.length, expected.length - read);
      }
      assert.deepEqual([...queue.bytes.subarray(queue.start, queue.end)], expected.slice(read));
      queue.clear();
      assert.equal(pool.inUse, 0);
    }),
    { numRuns: 100 },
  );
});

Deno.test("a queue holds memory only while it holds bytes", () => {
  const pool = new SlabPool();
  const queue = new ByteQueue(pool);
  assert.equal(pool.inUse, 0);
  queue.append(new Uint8Array(100), 0, 100);
  assert.equal(pool.inUse, size);
  queue.consume(100);
  assert.equal(pool.inUse, 0);
  queue.append(new Uint8Array(0), 0, 0);
  assert.equal(pool.inUse, 0);
});

Deno.test("reserved room can be written to behind the end", () => {
  const queue = new ByteQueue(new SlabPool());
  queue.appendText("abc");
  queue.reserve(20_000);
  assert.ok(queue.bytes.length - queue.end >= 20_000);
  queue.bytes[queue.end++] = 100;
  assert.equal(new TextDecoder().decode(queue.bytes.subarray(queue.start, queue.end)), "abcd");
});

Deno.test("numbers are appended in decimal digits", () => {
  const queue = new ByteQueue(new SlabPool());
  const numbers = [0, 9, 10, 99, 100, 1024, 65535, 2 ** 31, 999_999_999_999_999, Number.MAX_SAFE_INTEGER];
  for (const number of numbers) {
    queue.appendDecimal(number);
    queue.appendText(" ");
  }
  const text = new TextDecoder().decode(queue.bytes.subarray(queue.start, queue.end));
  assert.equal(text, numbers.join(" ") + " ");
});
