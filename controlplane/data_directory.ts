/** The directory of all state. */
import { ControlPlaneError } from "./control_plane_error.ts";

/**
 * Makes the directory where it is missing, for nobody else to read.
 *
 * @throws {ControlPlaneError} `data_dir` when it cannot be made or written to
 */
export async function openDataDirectory(dataDir: string): Promise<void> {
  try {
    await Deno.mkdir(dataDir, { recursive: true, mode: 0o700 });
    await Deno.remove(await Deno.makeTempFile({ dir: dataDir, prefix: ".writable-" }));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const message = `--data-dir: ${dataDir} cannot be written to: ${reason}`;
    throw new ControlPlaneError("data_dir", message, "name a directory that is yours", { cause });
  }
}
