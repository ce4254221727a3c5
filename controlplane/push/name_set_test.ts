import { deepEqual, equal, notEqual } from "node:assert/strict";
import { NameSet } from "./name_set.ts";

const hundred = Array.from({ length: 100 }, (_, n) => `cluster-${n}`);

Deno.test("sets with the same names are one object, whatever the way there", () => {
  const all = NameSet.empty.changed(hundred, []);
  equal(NameSet.empty.changed(hundred.toReversed(), []), all);
  equal(NameSet.empty.changed([...hundred, "more"], []).changed([], ["more"]), all);
  notEqual(NameSet.empty.changed(hundred.slice(1), []), all);
  equal(all.changed(hundred, ["unknown"]), all);
});

Deno.test("a set has what was added and not what was taken away", () => {
  const set = NameSet.empty.changed(["a", "b", "a"], []).changed(["c"], ["a"]);
  deepEqual([...set], ["b", "c"]);
  deepEqual([set.has("a"), set.has("b"), set.size], [false, true, 2]);
  equal(set.changed([], ["b", "c"]), NameSet.empty);
});
