/** Chooses the engine that `--store` names. */
import { SqliteStore } from "./sqlite_store.ts";
import { type Store, StoreError } from "./store.ts";

/**
 * @param url `sqlite`: a file in the data directory
 * @throws {StoreError}
 */
export async function openStore(url: string, dataDir: string): Promise<Store> {
  if (url === "sqlite") return await SqliteStore.open(dataDir);
  if (url.startsWith("etcd://")) {
    throw new StoreError(`--store: ${url}: this version has only sqlite; leave the flag out`);
  }
  throw new StoreError(`--store: ${JSON.stringify(url)} is no store; this version has only sqlite`);
}
