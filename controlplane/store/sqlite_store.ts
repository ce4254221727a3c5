/** The embedded store: SQLite, `<dataDir>/store.db`. */
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { Metadata, Origin, Resource } from "../../routing/istio/types.ts";
import { ControlPlaneError } from "../control_plane_error.ts";
import type { WorkloadNode } from "../../routing/xds/node.ts";
import { type Registration, type ResourceKey, type Store, type StoredResource } from "./store.ts";

const schema = `
  PRAGMA busy_timeout = 5000;
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = NORMAL;
  CREATE TABLE IF NOT EXISTS resources (
    kind TEXT NOT NULL,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    content TEXT NOT NULL,
    origin TEXT NOT NULL,
    PRIMARY KEY (kind, namespace, name)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS revision (id INTEGER PRIMARY KEY CHECK (id = 0), value INTEGER NOT NULL) STRICT;
  INSERT OR IGNORE INTO revision (id, value) VALUES (0, 0);
  CREATE TABLE IF NOT EXISTS registrations (key TEXT PRIMARY KEY, node TEXT NOT NULL) STRICT, WITHOUT ROWID;
`;

/** A resource as its row holds it: what it says apart from where it stood, which changes without its meaning. */
interface Content {
  apiVersion: string;
  metadata: Metadata;
  spec: unknown;
}

export class SqliteStore implements Store {
  readonly #database: DatabaseSync;

  private constructor(database: DatabaseSync) {
    this.#database = database;
  }

  /** @throws {ControlPlaneError} `data_dir`: when the file cannot be opened or is no database */
  static async open(dataDir: string): Promise<SqliteStore> {
    const path = join(dataDir, "store.db");
    let database: DatabaseSync | undefined;
    try {
      // SQLite gives its journals the mode of the database, and registrations are nobody else's to read.
      await Deno.open(path, { write: true, create: true, mode: 0o600 }).then((file) => file.close());
      database = new DatabaseSync(path);
      database.exec(schema);
      return new SqliteStore(database);
    } catch (cause) {
      database?.close();
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new ControlPlaneError(
        "data_dir",
        `--data-dir: ${path} cannot be opened as the store: ${reason}`,
        "restore it, or remove it: agents register again by themselves",
        { cause },
      );
    }
  }

  // Asynchronous as an engine across the network must be; SQLite answers at once.
  // deno-lint-ignore require-await
  async resources(kind?: string): Promise<StoredResource[]> {
    const columns = "SELECT kind, version, content, origin FROM resources";
    const order = "ORDER BY kind, namespace, name";
    const rows = kind === undefined
      ? this.#database.prepare(`${columns} ${order}`).all()
      : this.#database.prepare(`${columns} WHERE kind = ? ${order}`).all(kind);
    return rows.map(readRow);
  }

  // deno-lint-ignore require-await
  async resource({ kind, namespace, name }: ResourceKey): Promise<StoredResource | null> {
    const row = this.#database
      .prepare("SELECT kind, version, content, origin FROM resources WHERE kind = ? AND namespace = ? AND name = ?")
      .get(kind, namespace, name);
    return row === undefined ? null : readRow(row);
  }

  // deno-lint-ignore require-await
  async replaceResources(resources: Resource[]): Promise<boolean> {
    const wanted = new Map(resources.map((resource) => [keyOf(resource), resource]));
    return this.#transaction(() => {
      let changed = false;
      const stored = new Map(
        this.#database.prepare("SELECT kind, namespace, name, content, origin FROM resources").all()
          .map((row) => [JSON.stringify([row.kind, row.namespace, row.name]), row]),
      );
      for (const [key, row] of stored) {
        if (wanted.has(key)) continue;
        changed = true;
        this.#database.prepare("DELETE FROM resources WHERE kind = ? AND namespace = ? AND name = ?")
          .run(row.kind, row.namespace, row.name);
      }
      for (const [key, resource] of wanted) {
        const content = contentOf(resource);
        const origin = JSON.stringify(resource.origin);
        const row = stored.get(key);
        if (row?.content === content) {
          if (row.origin !== origin) this.#moveOrigin(resource, origin);
          continue;
        }
        changed = true;
        this.#put(resource, content, origin);
      }
      return changed;
    });
  }

  // deno-lint-ignore require-await
  async registrations(): Promise<Registration[]> {
    return this.#database.prepare("SELECT key, node FROM registrations ORDER BY key").all()
      .map((row) => ({ key: String(row.key), node: JSON.parse(String(row.node)) as WorkloadNode }));
  }

  // deno-lint-ignore require-await
  async putRegistration({ key, node }: Registration): Promise<void> {
    this.#database.prepare("INSERT OR REPLACE INTO registrations (key, node) VALUES (?, ?)")
      .run(key, JSON.stringify(node));
  }

  // deno-lint-ignore require-await
  async deleteRegistration(key: string): Promise<void> {
    this.#database.prepare("DELETE FROM registrations WHERE key = ?").run(key);
  }

  // deno-lint-ignore require-await
  async close(): Promise<void> {
    this.#database.close();
  }

  #put({ kind, metadata: { namespace, name } }: Resource, content: string, origin: string): void {
    const row = this.#database.prepare("UPDATE revision SET value = value + 1 RETURNING value").get();
    this.#database.prepare(
      "INSERT OR REPLACE INTO resources (kind, namespace, name, version, content, origin) VALUES (?, ?, ?, ?, ?, ?)",
    ).run(kind, namespace, name, Number(row?.value), content, origin);
  }

  #moveOrigin({ kind, metadata: { namespace, name } }: Resource, origin: string): void {
    this.#database.prepare("UPDATE resources SET origin = ? WHERE kind = ? AND namespace = ? AND name = ?")
      .run(origin, kind, namespace, name);
  }

  #transaction<Result>(change: () => Result): Result {
    this.#database.exec("BEGIN IMMEDIATE");
    try {
      const result = change();
      this.#database.exec("COMMIT");
      return result;
    } catch (error) {
      this.#database.exec("ROLLBACK");
      throw error;
    }
  }
}

function keyOf({ kind, metadata: { namespace, name } }: Resource): string {
  return JSON.stringify([kind, namespace, name]);
}

function contentOf({ apiVersion, metadata, spec }: Resource): string {
  return JSON.stringify({ apiVersion, metadata, spec } satisfies Content);
}

function readRow(row: Record<string, unknown>): StoredResource {
  const content = JSON.parse(String(row.content)) as Content;
  const origin = JSON.parse(String(row.origin)) as Origin;
  return { resource: { kind: String(row.kind), ...content, origin }, resourceVersion: Number(row.version) };
}
