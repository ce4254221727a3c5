import { notStrictEqual, strictEqual } from "node:assert/strict";
import { listToken } from "./intern.ts";

Deno.test("lists have one token when they hold the same objects in the same order", () => {
  const [one, other] = [{}, {}];
  strictEqual(listToken([one, other]), listToken([one, other]));
  strictEqual(listToken([]), listToken([]));
  notStrictEqual(listToken([one, other]), listToken([other, one]));
  notStrictEqual(listToken([one]), listToken([one, one]));
  notStrictEqual(listToken([{}]), listToken([{}]));
});
