/** Files that are either the old or the new content, whatever happens in between. */
import { dirname } from "node:path";

/** Replaces a file as a whole, making its folders where missing; readable by its owner alone. */
export async function writeFileAtomically(path: string, content: string): Promise<void> {
  await Deno.mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const temporary = `${path}.${crypto.randomUUID()}.tmp`;
  try {
    const file = await Deno.open(temporary, { write: true, createNew: true, mode: 0o600 });
    try {
      for (let rest = new TextEncoder().encode(content); rest.length > 0;) {
        rest = rest.subarray(await file.write(rest));
      }
      await file.sync();
    } finally {
      file.close();
    }
    await Deno.rename(temporary, path);
  } catch (error) {
    await Deno.remove(temporary).catch(() => {});
    throw error;
  }
}

/** The file's text, or `null` when there is none. */
export async function readFileIfThere(path: string): Promise<string | null> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}
