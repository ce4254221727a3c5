import assert from "node:assert/strict";
import { type Flag, parseFlags } from "./flags.ts";
import { FlagValues } from "./flag_values.ts";
import { UsageError } from "./usage_error.ts";

const flags: Flag[] = [
  { name: "data-dir", value: "DIR", description: "" },
  { name: "output", short: "o", value: "FORMAT", description: "" },
  { name: "service-account", value: "NS/NAME", repeated: true, description: "" },
  { name: "listen", value: "ADDR", description: "" },
  { name: "ttl", value: "DURATION", description: "" },
  { name: "workers", value: "N", description: "" },
];

function values(args: string[], environment: Record<string, string> = {}): FlagValues {
  return new FlagValues(parseFlags(args, flags, environment, "test"));
}

function refuses(args: string[], message: RegExp, read: (values: FlagValues) => unknown = () => {}): void {
  assert.throws(() => read(values(args)), (error) => error instanceof UsageError && message.test(error.message));
}

Deno.test("flags are read in both spellings, and by their one letter", () => {
  assert.equal(values(["--data-dir", "/a"]).text("data-dir"), "/a");
  assert.equal(values(["--data-dir=/a=b"]).text("data-dir"), "/a=b");
  assert.equal(values(["-o", "json"]).text("output"), "json");
});

Deno.test("every flag has a variable, and the command line wins over it", () => {
  assert.equal(values([], { SKIFF_DATA_DIR: "/b" }).text("data-dir"), "/b");
  assert.equal(values(["--data-dir=/a"], { SKIFF_DATA_DIR: "/b" }).text("data-dir"), "/a");
  assert.deepEqual(values([], { SKIFF_SERVICE_ACCOUNT: "a/b,c/d" }).texts("service-account"), ["a/b", "c/d"]);
  assert.equal(values([], { SKIFF_DATA_DIR: "" }).has("data-dir"), false);
});

Deno.test("a repeated flag keeps all its values, any other may come once", () => {
  assert.deepEqual(values(["--service-account=a/b", "--service-account", "c/d"]).list("service-account"), [
    "a/b",
    "c/d",
  ]);
  refuses(["--data-dir=/a", "--data-dir=/b"], /given twice/);
});

Deno.test("an unknown flag is refused with the nearest known one", () => {
  refuses(["--data-dri=/a"], /unknown flag --data-dri for test \(did you mean --data-dir\?\)/);
  refuses(["--something-else-entirely"], /unknown flag --something-else-entirely for test$/);
  refuses(["-x"], /unknown flag -x/);
});

Deno.test("a flag at the end without its value is refused", () => {
  refuses(["--data-dir"], /--data-dir needs a value: --data-dir DIR/);
});

Deno.test("what is no flag is positional, and everything after --", () => {
  assert.deepEqual(parseFlags(["a", "--ttl=1h", "b", "--", "--c"], flags, {}, "test").positional, ["a", "b", "--c"]);
});

Deno.test("addresses are IP:PORT, IPv6 in brackets", () => {
  const listen = (text: string) => values([`--listen=${text}`]).address("listen");
  assert.deepEqual(listen("127.0.0.1:15012"), { host: "127.0.0.1", port: 15012 });
  assert.deepEqual(listen("[::1]:80"), { host: "::1", port: 80 });
  for (const text of ["15012", ":15012", "localhost:80", "1.2.3:80", "::1:80", "127.0.0.1:", "[127.0.0.1]:80"]) {
    refuses([`--listen=${text}`], /^--listen: .* (?:is not IP:PORT|names port)/, (given) => given.address("listen"));
  }
  for (const text of ["127.0.0.1:65536", "127.0.0.1:0x10", "127.0.0.1:-1", "127.0.0.1: 80"]) {
    refuses([`--listen=${text}`], /ports are 0 to 65535/, (given) => given.address("listen"));
  }
});

Deno.test("durations are Go's, above zero", () => {
  assert.equal(values(["--ttl=1h30m"]).duration("ttl"), 5_400_000);
  assert.equal(values(["--ttl=500ms"]).duration("ttl"), 500);
  for (const text of ["5", "1d", "", "-1s", "0s", "soon"]) {
    refuses([`--ttl=${text}`], /^--ttl: /, (given) => given.duration("ttl"));
  }
});

Deno.test("counts are plain whole numbers in range", () => {
  assert.equal(values(["--workers=4"]).count("workers", 64), 4);
  for (const text of ["0", "65", "1.5", "4x", "0x4", " 4"]) {
    refuses([`--workers=${text}`], /whole number from 1 to 64/, (given) => given.count("workers", 64));
  }
});

Deno.test("a choice names what there is to choose from", () => {
  assert.equal(values(["-o", "json"]).choice("output", ["table", "json"] as const), "json");
  refuses(
    ["-o", "jsn"],
    /^-o: "jsn" is none of table, json \(did you mean json\?\)$/,
    (given) => given.choice("output", ["table", "json"]),
  );
});

Deno.test("files and directories must be there, and be what they are asked for as", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const file = `${directory}/file`;
    await Deno.writeTextFile(file, "");
    assert.equal(values([`--data-dir=${file}`]).file("data-dir"), file);
    assert.equal(values([`--data-dir=${directory}`]).directory("data-dir"), directory);
    refuses([`--data-dir=${directory}`], /is a directory, not a file/, (given) => given.file("data-dir"));
    refuses([`--data-dir=${file}`], /: is not a directory/, (given) => given.directory("data-dir"));
    refuses([`--data-dir=${file}-not`], /no such file or directory/, (given) => given.file("data-dir"));
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("the variable is named where its value is wrong", () => {
  assert.throws(
    () => values([], { SKIFF_TTL: "soon" }).duration("ttl"),
    /^UsageError: SKIFF_TTL: must be a duration .*"soon"$/,
  );
});
