import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import { HeaderValueOption_HeaderAppendAction as Action } from "../../../routing/xds/gen/envoy/config/core/v3/base_pb.ts";
import { RouteSchema } from "../../../routing/xds/gen/envoy/config/route/v3/route_components_pb.ts";
import type { HeaderMutation } from "../model.ts";
import { headerLevel, joinMutations } from "./header_mutation.ts";
import { Place, UnsupportedConfigurationError } from "./unsupported.ts";

type Mode = HeaderMutation["set"][number]["mode"];

const adds = (mode: Mode, value: string): HeaderMutation => ({ set: [{ name: "x", value, mode }], remove: [] });
const removes: HeaderMutation = { set: [], remove: ["x"] };

/** The values of header `x` after mutations, each applied in turn as Envoy does it. */
function inTurn(values: string[], mutations: HeaderMutation[]): string[] {
  for (const { set, remove } of mutations) {
    if (remove.includes("x")) values = [];
    for (const { value, mode } of set) {
      if (mode === "overwrite") values = [value];
      else if (mode === "append" || values.length === 0) values = [...values, value];
    }
  }
  return values;
}

/** What a data thread makes of one mutation: it drops what is removed or overwritten, then adds. */
function atOnce(values: string[], { set, remove }: HeaderMutation): string[] {
  const dropped = remove.includes("x") || set.some(({ mode }) => mode === "overwrite");
  const kept = dropped ? [] : values;
  return [...kept, ...set.filter(({ mode }) => mode !== "addIfAbsent" || kept.length === 0).map(({ value }) => value)];
}

Deno.test("joined mutations do what the mutations do in turn", () => {
  const steps = [adds("append", "a"), adds("overwrite", "o"), adds("addIfAbsent", "i"), removes];
  const other = [adds("append", "A"), adds("overwrite", "O"), adds("addIfAbsent", "I"), removes];
  for (const first of steps) {
    for (const second of other) {
      for (const third of steps) {
        for (const values of [[], ["v"], ["v", "w"]]) {
          const levels = [first, second, third];
          assert.deepEqual(atOnce(values, joinMutations(levels)), inTurn(values, levels), JSON.stringify(levels));
        }
      }
    }
  }
});

Deno.test("reads modes, old and new, and percent signs; drops empty values unless they are kept", () => {
  const option = (value: string, rest: object) => ({ header: { key: "X", value }, ...rest });
  const { request, response } = headerLevel(
    create(RouteSchema, {
      requestHeadersToAdd: [
        option("1", {}),
        option("2", { append: false }),
        option("3", { appendAction: Action.ADD_IF_ABSENT }),
        option("4", { appendAction: Action.OVERWRITE_IF_EXISTS_OR_ADD }),
        option("", {}),
        option("", { keepEmptyValue: true }),
        option("5%%", {}),
      ],
      responseHeadersToRemove: ["Y"],
    }),
    new Place("route r"),
  );
  assert.deepEqual(request.set.map(({ value, mode }) => [value, mode]), [
    ["1", "append"],
    ["2", "overwrite"],
    ["3", "addIfAbsent"],
    ["4", "overwrite"],
    ["", "append"],
    ["5%", "append"],
  ]);
  assert.deepEqual(response.remove, ["y"]);
});

Deno.test("reads command operators; refuses those that are not implemented, and stray percent signs", () => {
  const translated = (value: string) =>
    headerLevel(create(RouteSchema, { requestHeadersToAdd: [{ header: { key: "x", value } }] }), new Place("r"))
      .request.set[0];
  assert.deepEqual(translated("a %REQ(X-A?:path):7%%% b %PROTOCOL%").format, [
    "a ",
    { operator: "REQ", names: ["x-a", ":path"], limit: 7 },
    "% b ",
    { operator: "PROTOCOL", names: [], limit: null },
  ]);
  assert.equal(translated("100%%").format, undefined);
  for (const value of ["50%", "%REQ%", "%REQ(a b)%", "%NO_SUCH%", "%PROTOCOL(x)%", "%REQ(a%", "%req(a)%"]) {
    assert.throws(() => translated(value), UnsupportedConfigurationError, value);
  }
});
