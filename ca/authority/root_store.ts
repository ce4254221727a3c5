/**
 * Where the root lives: `<dataDir>/ca/root/{key.pem,cert.pem}`.
 *
 * The two files are staged in a directory of their own, which one rename makes the root: at every moment there is no
 * root or a complete one, whatever crashes.
 */
import { join } from "node:path";
import { AuthorityError } from "./authority_error.ts";
import { ensurePrivateDirectory, removeStaged, syncDirectory, tighten, writePrivateFile } from "./private_files.ts";
import { makeRoot, readRoot, type Root, type RootPem } from "./root.ts";

/** The directory of everything secret: the root, the token key, the record of token uses. */
export function authorityDirectory(dataDir: string): string {
  return join(dataDir, "ca");
}

/**
 * The root in `dataDir`, made on first use.
 *
 * @throws {AuthorityError}
 */
export async function openRoot(dataDir: string, trustDomain: string, now: number): Promise<Root> {
  const directory = authorityDirectory(dataDir);
  const place = join(directory, "root");
  await ensurePrivateDirectory(directory);
  if (await missing(place)) await createRoot(directory, place, await makeRoot(trustDomain, now));
  // A key that is staged beside a root has signed nothing.
  await removeStaged(directory, (name) => name.startsWith("root.new-"));
  return readRoot(await load(place), place, now);
}

async function createRoot(directory: string, place: string, pem: RootPem): Promise<void> {
  const staged = join(directory, `root.new-${crypto.randomUUID()}`);
  try {
    await Deno.mkdir(staged, { mode: 0o700 });
    await writePrivateFile(join(staged, "key.pem"), pem.privateKey);
    await writePrivateFile(join(staged, "cert.pem"), pem.certificate);
    await syncDirectory(staged);
    await Deno.rename(staged, place);
  } catch (error) {
    // Another process that started at the same time was first: its root is the root.
    if (!await missing(place)) return;
    throw error;
  }
  await syncDirectory(directory);
}

async function load(place: string): Promise<RootPem> {
  await tighten(place, 0o700);
  const read = async (name: string) => {
    const path = join(place, name);
    try {
      if (name === "key.pem") await tighten(path, 0o600);
      return await Deno.readTextFile(path);
    } catch (cause) {
      if (!(cause instanceof Deno.errors.NotFound)) throw cause;
      throw new AuthorityError("root_incomplete", `${path} is missing`, `restore ${place} from a backup`, { cause });
    }
  };
  return { privateKey: await read("key.pem"), certificate: await read("cert.pem") };
}

async function missing(path: string): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return false;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return true;
    throw error;
  }
}
