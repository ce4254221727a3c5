import { deepEqual, equal, notEqual, ok, rejects } from "node:assert/strict";
import { join } from "node:path";
import { crashAt } from "../testing/crash.ts";
import { temporaryDirectory } from "../testing/directory.ts";
import { Authority } from "./authority.ts";

const open = (dataDir: string, now?: () => number) => Authority.open({ dataDir, trustDomain: "cluster.local", now });
const modeOf = async (path: string) => ((await Deno.stat(path)).mode ?? 0) & 0o777;

Deno.test("the root is made once, readable by its owner alone, and found again", async () => {
  await using dir = await temporaryDirectory();
  const first = (await open(dir.path)).trustBundle();
  equal((await open(dir.path)).trustBundle(), first);
  equal(await modeOf(join(dir.path, "ca")), 0o700);
  equal(await modeOf(join(dir.path, "ca/root")), 0o700);
  equal(await modeOf(join(dir.path, "ca/root/key.pem")), 0o600);
});

Deno.test("several processes that start at once on a fresh directory agree on one root", async () => {
  await using dir = await temporaryDirectory();
  const roots = await Promise.all(Array.from({ length: 8 }, () => open(dir.path)));
  equal(new Set(roots.map((authority) => authority.trustBundle())).size, 1);
  deepEqual(Array.from(Deno.readDirSync(join(dir.path, "ca")), (entry) => entry.name), ["root"]);
});

Deno.test("a crash at any step of the first start leaves no root or a whole one, and the next start succeeds", async () => {
  for (let step = 0;; step++) {
    await using dir = await temporaryDirectory();
    const crashed = await crashAt(step, () => open(dir.path));
    const complete = await Deno.stat(join(dir.path, "ca/root")).then(() => true, () => false);
    if (complete) {
      ok(await Deno.stat(join(dir.path, "ca/root/key.pem")));
      ok(await Deno.stat(join(dir.path, "ca/root/cert.pem")));
    }
    const before = complete ? await Deno.readTextFile(join(dir.path, "ca/root/cert.pem")) : undefined;
    const after = (await open(dir.path)).trustBundle();
    if (before !== undefined) equal(after, before);
    deepEqual(Array.from(Deno.readDirSync(join(dir.path, "ca")), (entry) => entry.name), ["root"]);
    if (!crashed) {
      ok(step >= 8, `only ${step} steps were seen`);
      return;
    }
  }
});

Deno.test("loose permissions are tightened", async () => {
  await using dir = await temporaryDirectory();
  await open(dir.path);
  await Deno.chmod(join(dir.path, "ca"), 0o755);
  await Deno.chmod(join(dir.path, "ca/root"), 0o750);
  await Deno.chmod(join(dir.path, "ca/root/key.pem"), 0o644);
  await open(dir.path);
  equal(await modeOf(join(dir.path, "ca")), 0o700);
  equal(await modeOf(join(dir.path, "ca/root")), 0o700);
  equal(await modeOf(join(dir.path, "ca/root/key.pem")), 0o600);
});

Deno.test("refuses to start with another root's key, half a root, a damaged one, or an expired one", async () => {
  await using dir = await temporaryDirectory();
  await using other = await temporaryDirectory();
  const first = (await open(dir.path)).trustBundle();
  notEqual((await open(other.path)).trustBundle(), first);
  const key = join(dir.path, "ca/root/key.pem");
  const certificate = join(dir.path, "ca/root/cert.pem");
  const goodKey = await Deno.readTextFile(key);

  await Deno.copyFile(join(other.path, "ca/root/key.pem"), key);
  await rejects(open(dir.path), { name: "AuthorityError", code: "root_mismatch" });
  await Deno.writeTextFile(key, goodKey.slice(0, 80));
  await rejects(open(dir.path), { code: "root_damaged" });
  await Deno.remove(key);
  await rejects(open(dir.path), { code: "root_incomplete" });
  await Deno.writeTextFile(key, goodKey);
  await rejects(open(dir.path, () => Date.now() + 3651 * 24 * 3600_000), { code: "root_expired" });
  equal((await open(dir.path)).trustBundle(), first);
  await Deno.writeTextFile(certificate, "");
  await rejects(open(dir.path), { code: "root_damaged" });
});
