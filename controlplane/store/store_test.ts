import { deepEqual, equal, notEqual, rejects } from "node:assert/strict";
import { join } from "node:path";
import type { Resource } from "../../routing/istio/types.ts";
import { testNode } from "../testing/test_node.ts";
import { openStore } from "./open_store.ts";
import type { Store } from "./store.ts";

/** Each engine opens a store on a place that outlives it. */
const engines: { name: string; open(place: string): Promise<Store> }[] = [
  { name: "sqlite", open: (place) => openStore("sqlite", place) },
];

function rule(name: string, host: string, line = 1): Resource {
  return {
    apiVersion: "networking.istio.io/v1",
    kind: "DestinationRule",
    metadata: { name, namespace: "default", labels: {}, annotations: {} },
    spec: { host },
    origin: { file: "rules.yaml", line, column: 1 },
  };
}

const key = (name: string) => ({ kind: "DestinationRule", namespace: "default", name });

for (const engine of engines) {
  const check = (sentence: string, run: (open: () => Promise<Store>) => Promise<void>) =>
    Deno.test(`${engine.name}: ${sentence}`, async () => {
      const place = await Deno.makeTempDir({ prefix: "skiff-store-" });
      const opened: Store[] = [];
      try {
        await run(async () => {
          const store = await engine.open(place);
          opened.push(store);
          return store;
        });
      } finally {
        for (const store of opened) await store.close().catch(() => {});
        await Deno.remove(place, { recursive: true });
      }
    });

  check("keeps resources over a restart, with their origin and version", async (open) => {
    const first = await open();
    equal(await first.replaceResources([rule("a", "one"), rule("b", "two", 7)]), true);
    const before = await first.resources();
    await first.close();
    const second = await open();
    deepEqual(await second.resources(), before);
    deepEqual((await second.resource(key("b")))?.resource, rule("b", "two", 7));
    equal(await second.resource(key("c")), null);
  });

  check("gives a changed resource a new version and leaves the others theirs", async (open) => {
    const store = await open();
    await store.replaceResources([rule("a", "one"), rule("b", "two")]);
    const [a, b] = await store.resources("DestinationRule");
    equal(await store.replaceResources([rule("a", "one", 20), rule("b", "three")]), true);
    const [sameA, newB] = await store.resources("DestinationRule");
    equal(sameA.resourceVersion, a.resourceVersion);
    equal(sameA.resource.origin.line, 20);
    notEqual(newB.resourceVersion, b.resourceVersion);
    notEqual(newB.resourceVersion, a.resourceVersion);
  });

  check("removes what is no longer wanted, and says when nothing changed", async (open) => {
    const store = await open();
    await store.replaceResources([rule("a", "one"), rule("b", "two")]);
    equal(await store.replaceResources([rule("b", "two")]), true);
    equal(await store.replaceResources([rule("b", "two")]), false);
    deepEqual((await store.resources()).map(({ resource }) => resource.metadata.name), ["b"]);
    deepEqual(await store.resources("VirtualService"), []);
  });

  check("keeps registrations over a restart until they are deleted", async (open) => {
    const first = await open();
    const node = testNode({ workload: "reviews-v1" });
    await first.putRegistration({ key: "one", node: testNode() });
    await first.putRegistration({ key: "one", node });
    await first.close();
    const second = await open();
    deepEqual(await second.registrations(), [{ key: "one", node }]);
    await second.deleteRegistration("one");
    deepEqual(await second.registrations(), []);
  });
}

Deno.test("a store that this version does not have is refused by the name of its flag", async () => {
  await rejects(openStore("etcd://127.0.0.1:2379", "/nowhere"), /--store: etcd:.*this version has only sqlite/);
  await rejects(openStore("mysql", "/nowhere"), /--store: "mysql" is no store/);
});

Deno.test("a file that is no database is refused by its name", async () => {
  const place = await Deno.makeTempDir({ prefix: "skiff-store-" });
  try {
    await Deno.writeTextFile(join(place, "store.db"), "not a database, but long enough to be taken for one".repeat(50));
    await rejects(openStore("sqlite", place), /--data-dir: .*store\.db cannot be opened as the store/);
  } finally {
    await Deno.remove(place, { recursive: true });
  }
});
