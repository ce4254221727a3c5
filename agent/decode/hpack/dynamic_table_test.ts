import { equal, ok } from "node:assert/strict";
import fc from "fast-check";
import { ascii, latin1 } from "../characters.ts";
import { DynamicTable, EntryField, entryOverhead } from "./dynamic_table.ts";

Deno.test("the table holds what a plain list with the rules of RFC 7541 §4 holds, in at most twice its size", () => {
  const step = fc.oneof(
    { weight: 10, arbitrary: fc.tuple(fc.nat(20), fc.nat(300)) },
    { weight: 1, arbitrary: fc.constantFrom(0, 40, 200, 1000) },
  );
  fc.assert(fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
    const table = new DynamicTable(1000);
    let plain: [string, string][] = [];
    const size = () => plain.reduce((sum, [name, value]) => sum + name.length + value.length + entryOverhead, 0);
    steps.forEach((step, index) => {
      if (typeof step === "number") table.resize(step);
      else {
        const name = "n".repeat(step[0]);
        const value = String(index).padStart(step[1], "v");
        table.insert(ascii(name), 0, name.length, ascii(value), 0, value.length, index);
        plain.unshift([name, value]);
      }
      while (size() > table.maximumSize) plain = plain.slice(0, -1);

      equal(table.count, plain.length);
      equal(table.size, size());
      plain.forEach(([name, value], age) => {
        const entry = table.entry(age);
        const start = table.entries[entry + EntryField.lineStart];
        const line = `${name}: ${value}\r\n`;
        equal(latin1(table.bytes, start, start + line.length), line);
        equal(table.entries[entry + EntryField.nameLength], name.length);
        equal(table.entries[entry + EntryField.valueLength], value.length);
      });
      ok(table.bytes.length <= 2048);
    });
  }));
});

Deno.test("a table that nothing was put into holds no memory", () => {
  const table = new DynamicTable(4096);
  equal(table.bytes.length + table.entries.length, 0);
});
