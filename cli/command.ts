import type { Flag } from "./flags.ts";
import type { FlagValues } from "./flag_values.ts";

/** What `skiff` can be asked to do: one operator command or one role. */
export interface Command {
  /** As typed: `token create`, `--role=agent`. */
  name: string;
  /** A few words for the list of commands. */
  summary: string;
  /** Everything after `skiff` in the usage line. */
  usage: string;
  /** Paragraphs after the usage line, wrapped by hand. */
  description: string;
  flags: Flag[];
  /** What stands behind the command's name, as its usage calls it; absent: nothing may. */
  argument?: string;
  /**
   * @param argument there whenever {@link argument} says so
   * @returns the exit code.
   * @throws {UsageError} for what the user typed or the files it names.
   */
  run(flags: FlagValues, argument?: string): Promise<number>;
}

/** Flags that every command and role takes. */
export const logFlags: Flag[] = [
  { name: "log-level", value: "LEVEL", description: "debug, info, warn or error; default info" },
  { name: "log-format", value: "FORMAT", description: "text or json; default text" },
];
