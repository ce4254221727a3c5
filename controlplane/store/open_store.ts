/** Chooses the engine that `--store` names. */
import { SqliteStore } from "./sqlite_store.ts";
import { ControlPlaneError } from "../control_plane_error.ts";
import type { Store } from "./store.ts";

/**
 * @param url `sqlite`: a file in the data directory
 * @throws {ControlPlaneError} `store`, `data_dir`
 */
export async function openStore(url: string, dataDir: string): Promise<Store> {
  if (url === "sqlite") return await SqliteStore.open(dataDir);
  if (url.startsWith("etcd://")) {
    throw new ControlPlaneError("store", `--store: ${url}: this version has only sqlite`, "leave the flag out");
  }
  throw new ControlPlaneError("store", `--store: ${JSON.stringify(url)} is no store`, "this version has only sqlite");
}
