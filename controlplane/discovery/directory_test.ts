import { deepEqual, equal, match, rejects } from "node:assert/strict";
import { join } from "node:path";
import type { Resource } from "../../routing/istio/types.ts";
import { type Directory, type DirectoryOptions, watchDirectory } from "./directory.ts";

function rule(name: string, host: string): string {
  return `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: ${name} }
spec: { host: ${host} }
---
`;
}

const hosts = ({ content }: Directory) =>
  content.resources.map(({ spec }) => (spec as { host: string }).host).sort().join(" ");

async function until(holds: () => boolean, what: () => string): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`waited in vain: ${what()}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

function check(
  sentence: string,
  run: (place: string, open: (options?: Partial<DirectoryOptions>) => Promise<Directory>) => Promise<void>,
): void {
  Deno.test(sentence, async () => {
    const place = await Deno.makeTempDir({ prefix: "skiff-directory-" });
    const opened: Directory[] = [];
    try {
      await run(place, async (options = {}) => {
        const directory = await watchDirectory({ directory: place, onChange: () => {}, ...options });
        opened.push(directory);
        return directory;
      });
    } finally {
      for (const directory of opened) await directory.close();
      await Deno.remove(place, { recursive: true });
    }
  });
}

check("reads YAML and JSON files of all subdirectories, and no others", async (place, open) => {
  await Deno.mkdir(join(place, "deep/er"), { recursive: true });
  await Deno.writeTextFile(join(place, "a.yaml"), rule("a", "one"));
  await Deno.writeTextFile(join(place, "deep/er/b.yml"), rule("b", "two"));
  await Deno.writeTextFile(
    join(place, "c.json"),
    `{"apiVersion": "networking.istio.io/v1", "kind": "DestinationRule", "metadata": {"name": "c"}, "spec": {"host": "three"}}`,
  );
  await Deno.writeTextFile(join(place, ".a.yaml.swp"), "junk: [");
  await Deno.writeTextFile(join(place, "README.md"), "junk: [");
  const directory = await open();
  equal(hosts(directory), "one three two");
  deepEqual(directory.content.problems, []);
});

check("follows edits, renames over a file, new directories and removals", async (place, open) => {
  let calls = 0;
  await Deno.writeTextFile(join(place, "a.yaml"), rule("a", "one"));
  const directory = await open({ rescanInterval: 60_000, onChange: () => void calls++ });
  const seen = (wanted: string) => until(() => hosts(directory) === wanted, () => `${hosts(directory)} for ${wanted}`);
  await Deno.writeTextFile(join(place, "a.yaml"), rule("a", "two"));
  await seen("two");
  await Deno.writeTextFile(join(place, "a.yaml.tmp"), rule("a", "three"));
  await Deno.rename(join(place, "a.yaml.tmp"), join(place, "a.yaml"));
  await seen("three");
  await Deno.mkdir(join(place, "new"));
  await Deno.writeTextFile(join(place, "new", "b.yaml"), rule("b", "four"));
  await seen("four three");
  await Deno.writeTextFile(join(place, "new", "b.yaml"), rule("b", "five"));
  await seen("five three");
  await Deno.remove(join(place, "new"), { recursive: true });
  await seen("three");
  equal(calls >= 5, true);
});

check("an invalid file keeps its last good content in force and says what is wrong", async (place, open) => {
  await Deno.writeTextFile(join(place, "a.yaml"), rule("a", "one") + rule("b", "two"));
  const directory = await open();
  await Deno.writeTextFile(join(place, "a.yaml"), rule("a", "changed") + rule("b", "[]"));
  await until(() => directory.content.problems.length > 0, () => "a problem");
  equal(hosts(directory), "one two");
  match(directory.content.problems[0].file, /a\.yaml$/);
  await Deno.writeTextFile(join(place, "a.yaml"), rule("a", "changed"));
  await until(() => hosts(directory) === "changed", () => hosts(directory));
  deepEqual(directory.content.problems, []);
});

check("the last good content of an earlier run holds for a file that is invalid at the start", async (place, open) => {
  await Deno.writeTextFile(join(place, "a.yaml"), rule("a", "one"));
  await Deno.writeTextFile(join(place, "b.yaml"), rule("b", "two"));
  const first = await open();
  const lastGood: Resource[] = first.content.resources;
  await first.close();
  await Deno.writeTextFile(join(place, "a.yaml"), "kind: [");
  await Deno.remove(join(place, "b.yaml"));
  const second = await open({ lastGood });
  equal(hosts(second), "one");
  equal(second.content.problems.length, 1);
});

check("a resource defined twice is in force as the first file has it, and told", async (place, open) => {
  await Deno.writeTextFile(join(place, "b.yaml"), rule("a", "second"));
  await Deno.writeTextFile(join(place, "a.yaml"), rule("a", "first"));
  const directory = await open();
  equal(hosts(directory), "first");
  match(directory.content.problems[0].message, /defined before, in .*a\.yaml:1/);
});

check("resources that an edit leaves alone stay the same objects", async (place, open) => {
  await Deno.writeTextFile(join(place, "a.yaml"), rule("a", "one") + rule("b", "two"));
  const directory = await open();
  const [a] = directory.content.resources;
  await Deno.writeTextFile(join(place, "a.yaml"), rule("a", "one") + rule("b", "three"));
  await until(() => hosts(directory) === "one three", () => hosts(directory));
  equal(directory.content.resources[0], a);
});

check("what the watcher misses is found by looking again", async (place, open) => {
  await Deno.writeTextFile(join(place, "a.yaml"), rule("a", "one"));
  const directory = await open({ rescanInterval: 50 });
  // The watched directory goes away with its watch; another takes its place.
  await Deno.rename(place, `${place}-gone`);
  try {
    await until(() => directory.content.problems.length === 1, () => "a problem");
    equal(hosts(directory), "one");
    await Deno.mkdir(place);
    await Deno.writeTextFile(join(place, "a.yaml"), rule("a", "two"));
    await until(() => hosts(directory) === "two", () => hosts(directory));
    deepEqual(directory.content.problems, []);
  } finally {
    await Deno.remove(`${place}-gone`, { recursive: true });
  }
});

check("a file that is emptied for good loses its resources", async (place, open) => {
  await Deno.writeTextFile(join(place, "a.yaml"), rule("a", "one"));
  const directory = await open();
  await Deno.writeTextFile(join(place, "a.yaml"), "");
  await until(() => hosts(directory) === "", () => hosts(directory));
});

Deno.test("a directory that cannot be read is refused by the name of its flag", async () => {
  await rejects(
    watchDirectory({ directory: "/nowhere/at/all", onChange: () => {} }),
    /--config-dir: \/nowhere\/at\/all cannot be read/,
  );
});
