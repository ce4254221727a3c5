/** The durable count of what each join token has admitted: SQLite, `<dataDir>/ca/admission.db`. */
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { authorityDirectory } from "../authority/root_store.ts";
import { tighten, writePrivateFile } from "../authority/private_files.ts";
import type { VerifiedToken } from "./join_token.ts";

/** Rows outlive their token by a day, so that a clock set back revives nothing. */
const retention = 24 * 60 * 60 * 1000;

export class Uses {
  readonly #database: DatabaseSync;

  private constructor(database: DatabaseSync) {
    this.#database = database;
  }

  /** Opens the record in `dataDir`, which must have its `ca` directory. */
  static async open(dataDir: string): Promise<Uses> {
    const path = join(authorityDirectory(dataDir), "admission.db");
    // SQLite gives its journals the mode of the database; an empty file is a fresh database.
    await writePrivateFile(path, "").catch((error) => {
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    });
    await tighten(path, 0o600);
    const database = new DatabaseSync(path);
    // A use is on disk before its certificate goes out, or a power cut would give it back: synchronous is FULL.
    database.exec(`
      PRAGMA busy_timeout = 5000;
      PRAGMA journal_mode = WAL;
      PRAGMA synchronous = FULL;
      CREATE TABLE IF NOT EXISTS uses (
        token TEXT NOT NULL,
        keys TEXT NOT NULL,
        admitted INTEGER NOT NULL,
        expires INTEGER NOT NULL,
        PRIMARY KEY (token, keys)
      ) STRICT, WITHOUT ROWID;
    `);
    return new Uses(database);
  }

  /**
   * Counts one use of a token for a set of keys. The same keys again are the same use: an agent that lost the answer
   * asks again.
   *
   * @param keys digest of the identities and public keys that join together
   * @returns false when the token is used up
   */
  spend(token: VerifiedToken, keys: string, now: number): boolean {
    const database = this.#database;
    // IMMEDIATE takes the write lock first, so that counting and inserting are one step, also between processes.
    database.exec("BEGIN IMMEDIATE");
    try {
      const admitted = this.#spend(token, keys, now);
      database.exec("COMMIT");
      return admitted;
    } catch (error) {
      database.exec("ROLLBACK");
      throw error;
    }
  }

  close(): void {
    this.#database.close();
  }

  #spend(token: VerifiedToken, keys: string, now: number): boolean {
    const database = this.#database;
    if (database.prepare("SELECT 1 FROM uses WHERE token = ? AND keys = ?").get(token.id, keys) !== undefined) {
      return true;
    }
    const row = database.prepare("SELECT count(*) AS used FROM uses WHERE token = ?").get(token.id);
    if (Number(row?.used) >= token.uses) return false;
    database.prepare("DELETE FROM uses WHERE expires < ?").run(now - retention);
    database.prepare("INSERT INTO uses (token, keys, admitted, expires) VALUES (?, ?, ?, ?)")
      .run(token.id, keys, now, token.expires.getTime());
    return true;
  }
}
