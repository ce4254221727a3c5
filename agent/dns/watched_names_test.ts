import { deepEqual, equal } from "node:assert/strict";
import { FakeTime } from "./testdata/fake_time.ts";
import type { Resolution } from "./resolver.ts";
import { WatchedNames, type WatchOptions } from "./watched_names.ts";

const options: WatchOptions = {
  lookupFamily: "V4_ONLY",
  refreshRate: 60_000,
  respectTtl: true,
  failureRefresh: { base: 1000, maximum: 8000 },
};

/** Answers in turn; the last one for ever. An error stands for no answer. */
function answering(...answers: (Resolution | Error)[]) {
  const asked: string[] = [];
  const names = new WatchedNames((name, type) => {
    const answer = answers[Math.min(asked.length, answers.length - 1)];
    asked.push(`${name} ${type}`);
    return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
  });
  return { names, asked };
}

Deno.test("asks again when the records end, and tells other addresses only", async () => {
  using time = new FakeTime();
  const { names, asked } = answering(
    { addresses: ["192.0.2.1", "192.0.2.2"], ttl: 5000 },
    { addresses: ["192.0.2.2", "192.0.2.1"], ttl: 5000 },
    { addresses: ["192.0.2.3"], ttl: null },
  );
  let told = 0;
  const watch = names.watch("db.example", options, () => told++);
  await time.tick(0);
  deepEqual([watch.addresses, told], [["192.0.2.1", "192.0.2.2"], 1]);
  await time.tick(4900);
  equal(asked.length, 1);
  await time.tick(300);
  deepEqual([asked.length, told], [2, 1]);
  await time.tick(5200);
  deepEqual([watch.addresses, told], [["192.0.2.3"], 2]);
  // Without a life of its own the record lives as long as the refresh rate says.
  await time.tick(59_500);
  equal(asked.length, 3);
  await time.tick(800);
  equal(asked.length, 4);
  watch.close();
  await time.tick(120_000);
  equal(asked.length, 4);
});

Deno.test("keeps the last good answer while no server answers, for a day", async () => {
  using time = new FakeTime();
  const { names, asked } = answering({ addresses: ["192.0.2.1"], ttl: 5000 }, new Error("no answer"));
  const watch = names.watch("db.example", options, () => {});
  await time.tick(0);
  await time.tick(5200);
  deepEqual([watch.addresses, watch.failure], [["192.0.2.1"], "no answer"]);
  // 1, 2, 4, then every 8 s.
  await time.tick(1200);
  await time.tick(2200);
  await time.tick(4200);
  equal(asked.length, 5);
  await time.tick(8200);
  deepEqual([asked.length, watch.statistics.failures], [6, 5]);
  await time.tick(23 * 3_600_000);
  deepEqual(watch.addresses, ["192.0.2.1"]);
  await time.tick(3_600_000);
  deepEqual(watch.addresses, []);
  watch.close();
});

Deno.test("a name that cannot be resolved from the start is answered, by nothing", async () => {
  using time = new FakeTime();
  const { names } = answering(new Error("no answer"), { addresses: ["192.0.2.1"], ttl: 5000 });
  const watch = names.watch("db.example", options, () => {});
  equal(watch.addresses, null);
  await time.tick(0);
  deepEqual(watch.addresses, []);
  await time.tick(1200);
  deepEqual([watch.addresses, watch.failure], [["192.0.2.1"], null]);
  watch.close();
});

Deno.test("a name that is gone loses its addresses at once", async () => {
  using time = new FakeTime();
  const { names } = answering({ addresses: ["192.0.2.1"], ttl: 1000 }, { addresses: [], ttl: null });
  const watch = names.watch("db.example", options, () => {});
  await time.tick(0);
  await time.tick(1200);
  deepEqual([watch.addresses, watch.statistics.empty], [[], 1]);
  watch.close();
});

Deno.test("asks for the families that are wanted", async () => {
  using time = new FakeTime();
  const cases: [WatchOptions["lookupFamily"], string[], string[]][] = [
    ["V4_PREFERRED", ["n A", "n AAAA"], ["2001:db8::1"]],
    ["AUTO", ["n AAAA"], ["2001:db8::1"]],
    ["ALL", ["n A", "n AAAA"], ["2001:db8::1"]],
    ["V6_ONLY", ["n AAAA"], ["2001:db8::1"]],
    ["V4_ONLY", ["n A"], []],
  ];
  for (const [lookupFamily, expected, addresses] of cases) {
    const asked: string[] = [];
    const names = new WatchedNames((name, type) => {
      asked.push(`${name} ${type}`);
      return Promise.resolve({ addresses: type === "A" ? [] : ["2001:db8::1"], ttl: null });
    });
    const watch = names.watch("n", { ...options, lookupFamily }, () => {});
    await time.tick(0);
    deepEqual([asked, watch.addresses], [expected, addresses], lookupFamily);
    watch.close();
  }
});

Deno.test("those who watch one name share its questions; an address is not asked for", async () => {
  using time = new FakeTime();
  const { names, asked } = answering({ addresses: ["192.0.2.1"], ttl: 5000 });
  const watches = [1, 2, 3].map(() => names.watch("db.example", options, () => {}));
  const address = names.watch("192.0.2.9", options, () => {});
  await time.tick(0);
  deepEqual([asked, address.addresses], [["db.example A"], ["192.0.2.9"]]);
  watches.slice(1).forEach((watch) => watch.close());
  await time.tick(5200);
  equal(asked.length, 2);
  watches[0].close();
  address.close();
});
