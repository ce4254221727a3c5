import assert from "node:assert/strict";
import { defaultDataDir } from "./data_dir.ts";
import { failureOf } from "./failure.ts";
import { proxyTable } from "./proxy_status.ts";
import { table } from "./table.ts";
import { didYouMean, UsageError } from "./usage_error.ts";

Deno.test("tables are aligned and have no trailing blanks", () => {
  assert.equal(
    table([["NAME", "STATE"], ["a", "connected"], ["longer-name", ""]]),
    [
      "NAME         STATE",
      "a            connected",
      "longer-name",
    ].join("\n"),
  );
});

Deno.test("the nearest name is suggested, and none where none is near", () => {
  assert.equal(didYouMean("--data-dri", ["--store", "--data-dir"]), " (did you mean --data-dir?)");
  assert.equal(didYouMean("proxystatus", ["proxy-status", "proxy-config"]), " (did you mean proxy-status?)");
  assert.equal(didYouMean("frobnicate", ["validate", "version"]), "");
});

Deno.test("state goes to /var/lib for root, and below the user's own state directory for others", () => {
  assert.equal(defaultDataDir(0, { HOME: "/root" }), "/var/lib/skiff");
  assert.equal(defaultDataDir(1000, { HOME: "/home/a", XDG_STATE_HOME: "/state" }), "/state/skiff");
  assert.equal(defaultDataDir(1000, { HOME: "/home/a" }), "/home/a/.local/state/skiff");
  assert.throws(() => defaultDataDir(1000, {}), UsageError);
});

Deno.test("what the user can mend exits with 2, everything else with 1, always in one line", () => {
  assert.deepEqual(failureOf(new UsageError("a\n  b")), { message: "a; b", code: 2 });
  const mendable = Object.assign(new Error("no token"), { hint: "make one" });
  assert.deepEqual(failureOf(mendable), { message: "no token; make one", code: 2 });
  assert.equal(failureOf(new Deno.errors.AddrInUse("in use")).code, 2);
  assert.deepEqual(failureOf(new Error("broken")), { message: "broken", code: 1 });
  assert.deepEqual(failureOf("text"), { message: "text", code: 1 });
});

Deno.test("proxy-status shows who is connected, what is stale for how long, and why something was refused", () => {
  const synced = { status: "SYNCED", acknowledged: "a", sent: "a" } as const;
  const proxy = {
    agent: "vm-1",
    workload: "reviews",
    namespace: "default",
    identity: "spiffe://cluster.local/ns/default/sa/reviews",
    address: "127.0.1.1",
    version: "0.1.0",
    connected: true,
    types: {
      CDS: synced,
      EDS: { ...synced, status: "STALE" as const, staleSince: "2026-01-01T00:00:00Z" },
      LDS: { ...synced, status: "NACK" as const, reason: "filters[0]: unknown" },
      RDS: synced,
      SDS: synced,
    },
  };
  const gone = { ...proxy, workload: "ratings", connected: false, disconnectedSince: "2026-01-01T00:00:00Z" };
  const now = Date.parse("2026-01-01T00:05:00Z");
  assert.deepEqual(
    proxyTable([proxy, { ...gone, types: { CDS: synced, EDS: synced, LDS: synced, RDS: synced, SDS: synced } }], now)
      .split("\n"),
    [
      "PROXY            AGENT  ADDRESS    CONNECTED   CDS     EDS         LDS     RDS     SDS     VERSION",
      "reviews.default  vm-1   127.0.1.1  yes         SYNCED  STALE (5m)  NACK    SYNCED  SYNCED  0.1.0",
      "ratings.default  vm-1   127.0.1.1  no, for 5m  SYNCED  SYNCED      SYNCED  SYNCED  SYNCED  0.1.0",
      "reviews.default on vm-1 refused LDS: filters[0]: unknown",
    ],
  );
  assert.equal(proxyTable([], now), "no proxy has connected yet");
});
