/** Files that only this process's user may read, written so that a crash leaves the old state or the new one. */
import { dirname, join } from "node:path";
import { logger } from "../../log/log.ts";

const log = logger("ca");
const othersMayRead = 0o077;

/** Makes a directory (and its parents) that is its owner's alone. An existing one is tightened, with a warning. */
export async function ensurePrivateDirectory(path: string): Promise<void> {
  await Deno.mkdir(path, { recursive: true, mode: 0o700 });
  await tighten(path, 0o700);
}

/** Takes away what group and others may do with a file or directory, with a warning when there was something. */
export async function tighten(path: string, mode: 0o600 | 0o700): Promise<void> {
  const found = (await Deno.stat(path)).mode ?? 0;
  if ((found & othersMayRead) === 0) return;
  await Deno.chmod(path, mode);
  log.warn("permissions were too open and have been tightened", {
    path,
    found: (found & 0o777).toString(8).padStart(4, "0"),
    now: mode.toString(8).padStart(4, "0"),
  });
}

/** Writes a new file (0600) and waits until its content is on disk; its name is only after {@link syncDirectory}. */
export async function writePrivateFile(path: string, content: string): Promise<void> {
  const file = await Deno.open(path, { write: true, createNew: true, mode: 0o600 });
  try {
    const bytes = new TextEncoder().encode(content);
    for (let written = 0; written < bytes.length;) written += await file.write(bytes.subarray(written));
    await file.sync();
  } finally {
    file.close();
  }
}

/** Removes what a crash left half-written: the files and directories of which `isStaged` holds. */
export async function removeStaged(directory: string, isStaged: (name: string) => boolean): Promise<void> {
  for await (const { name } of Deno.readDir(directory)) {
    if (isStaged(name)) await removeIfThere(join(directory, name));
  }
}

/** Waits until the names in a directory are on disk. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await Deno.open(path);
  try {
    await directory.sync();
  } finally {
    directory.close();
  }
}

/**
 * Writes a private file that appears whole or not at all, and never replaces one that is there.
 *
 * @returns false when the file existed
 */
export async function createPrivateFile(path: string, content: string): Promise<boolean> {
  const staged = `${path}.new-${crypto.randomUUID()}`;
  await writePrivateFile(staged, content);
  try {
    // Unlike rename, link fails on an existing name: of two processes that start at once, one wins and both agree.
    await Deno.link(staged, path);
  } catch (error) {
    // NotFound: the process that won has tidied up before this one came to its turn.
    if (error instanceof Deno.errors.AlreadyExists || error instanceof Deno.errors.NotFound) return false;
    throw error;
  } finally {
    await removeIfThere(staged);
  }
  await syncDirectory(dirname(path));
  return true;
}

async function removeIfThere(path: string): Promise<void> {
  try {
    await Deno.remove(path, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
