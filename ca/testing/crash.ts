/** Crashes without processes: file operations that stop working at a chosen step, and never work again. */
import { equal } from "node:assert/strict";

/**
 * Runs `work` with every file operation from the `step`th on failing, as if the process had died before it: what
 * `finally` blocks would tidy up stays too.
 *
 * @returns whether `work` came to that step
 */
export async function crashAt(step: number, work: () => Promise<unknown>): Promise<boolean> {
  const operations = ["mkdir", "open", "rename", "link", "remove", "chmod", "stat", "lstat", "readTextFile"] as const;
  const real = Object.fromEntries(operations.map((name) => [name, Deno[name]]));
  const realSync = Deno.FsFile.prototype.sync;
  const realWrite = Deno.FsFile.prototype.write;
  let seen = 0;
  const count = () => {
    if (seen++ >= step) throw new Error("crash");
  };
  const counted = (run: (...args: unknown[]) => unknown) =>
    // deno-lint-ignore require-await -- a failing operation rejects, it does not throw
    async function (this: unknown, ...args: unknown[]) {
      count();
      return run.apply(this, args);
    };
  for (const name of operations) Object.assign(Deno, { [name]: counted(real[name] as () => unknown) });
  Deno.FsFile.prototype.sync = counted(realSync) as () => Promise<void>;
  Deno.FsFile.prototype.write = counted(realWrite as () => unknown) as () => Promise<number>;
  try {
    await work();
    return false;
  } catch (error) {
    equal((error as Error).message, "crash");
    return true;
  } finally {
    Object.assign(Deno, real);
    Deno.FsFile.prototype.sync = realSync;
    Deno.FsFile.prototype.write = realWrite;
  }
}
