import { deepStrictEqual } from "node:assert/strict";
import { covering, HostTable } from "./host_table.ts";

Deno.test("a host is covered by itself and by ever wider wildcards", () => {
  deepStrictEqual([...covering("a.b.c")], ["a.b.c", "*.b.c", "*.c", "*"]);
  deepStrictEqual([...covering("*.b.c")], ["*.b.c", "*.c", "*"]);
  deepStrictEqual([...covering("*")], ["*"]);
});

Deno.test("matches come from the most specific host to the least", () => {
  const table = new HostTable<string>();
  table.add("*", "everything");
  table.add("*.example.com", "first");
  table.add("*.example.com", "second");
  table.add("a.example.com", "exact");
  table.add("b.example.com", "another");
  deepStrictEqual([...table.matches("a.example.com")], [["exact"], ["first", "second"], ["everything"]]);
  deepStrictEqual([...table.matches("example.com")], [["everything"]]);
});
