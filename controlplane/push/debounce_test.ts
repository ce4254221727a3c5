import { equal, ok } from "node:assert/strict";
import { Debounce } from "./debounce.ts";

const sleep = (time: number) => new Promise((resolve) => setTimeout(resolve, time));

Deno.test("a burst of changes is one run", async () => {
  let runs = 0;
  const done = Promise.withResolvers<void>();
  const debounce = new Debounce({
    quiet: 20,
    longest: 10_000,
    run() {
      runs++;
      done.resolve();
      return Promise.resolve();
    },
  });
  for (let change = 0; change < 5; change++) debounce.changed();
  await done.promise;
  await debounce.close();
  equal(runs, 1);
});

Deno.test("changes that never stop are run for all the same", async () => {
  let runs = 0;
  const debounce = new Debounce({ quiet: 10_000, longest: 20, run: () => Promise.resolve(void runs++) });
  for (let change = 0; change < 200 && runs === 0; change++) {
    debounce.changed();
    await sleep(5);
  }
  await debounce.close();
  ok(runs > 0);
});

Deno.test("what changes during a run is run for after it, never beside it", async () => {
  let active = 0;
  let most = 0;
  let runs = 0;
  const second = Promise.withResolvers<void>();
  const debounce = new Debounce({
    quiet: 1,
    longest: 1,
    async run() {
      most = Math.max(most, ++active);
      if (++runs === 1) {
        debounce.changed();
        await sleep(30);
      } else second.resolve();
      active--;
    },
  });
  debounce.changed();
  await second.promise;
  await debounce.close();
  equal(runs, 2);
  equal(most, 1);
});
