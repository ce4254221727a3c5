/** The secrets of one workload: from wherever their names say to the data threads, before anything there needs them. */
import type { SecretConfig } from "../config/model.ts";
import { SecretFilesReader } from "./secret_files.ts";
import type { ControlChange } from "./thread_state.ts";

export interface WorkloadSecretsOptions {
  /** The proxy whose secrets these are. */
  workload: string;
  /** Folder of credentials: see `SecretFilesReader`. */
  credentials: string;
  apply(change: ControlChange): Promise<void>;
  /** See `SecretFilesReader`. */
  lookInterval?: number;
}

export class WorkloadSecrets {
  readonly #options: WorkloadSecretsOptions;
  readonly #files: SecretFilesReader;
  /** Names of what the data threads have, apart from the workload's own. */
  #delivered = new Set<string>();

  constructor(options: WorkloadSecretsOptions) {
    this.#options = options;
    this.#files = new SecretFilesReader({ ...options, deliver: (secret) => this.deliver(secret) });
  }

  /** Hands one secret to the data threads. */
  async deliver(secret: SecretConfig): Promise<void> {
    await this.#options.apply({ kind: "secret", proxy: this.#options.workload, secret });
  }

  /** Delivers what is named and new; `inline` are those that stand in resources. */
  async provide(names: ReadonlySet<string>, inline: ReadonlyMap<string, SecretConfig>): Promise<void> {
    for (const name of names) {
      const secret = inline.get(name);
      if (secret === undefined || this.#delivered.has(name)) continue;
      await this.deliver(secret);
      this.#delivered.add(name);
    }
    await this.#files.follow(names);
    for (const name of this.#files.names()) this.#delivered.add(name);
  }

  /** Takes back what is no longer named. */
  async release(names: ReadonlySet<string>): Promise<void> {
    const gone = [...this.#delivered].filter((name) => !names.has(name));
    if (gone.length === 0) return;
    for (const name of gone) this.#delivered.delete(name);
    await this.#options.apply({ kind: "removeSecrets", proxy: this.#options.workload, names: gone });
  }

  async stop(): Promise<void> {
    await this.#files.stop();
  }
}
