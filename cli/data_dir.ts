import type { Flag } from "./flags.ts";
import type { FlagValues } from "./flag_values.ts";
import { UsageError } from "./usage_error.ts";

export const dataDirFlag: Flag = {
  name: "data-dir",
  value: "DIR",
  description: "state; default /var/lib/skiff for root, else $XDG_STATE_HOME/skiff (~/.local/state/skiff)",
};

/**
 * Where state is kept when `--data-dir` is not given.
 * @throws {UsageError} for a user who has no home directory.
 */
export function defaultDataDir(userId: number | null, environment: Record<string, string>): string {
  if (userId === 0) return "/var/lib/skiff";
  if (environment.XDG_STATE_HOME) return `${environment.XDG_STATE_HOME}/skiff`;
  if (environment.HOME) return `${environment.HOME}/.local/state/skiff`;
  throw new UsageError("--data-dir is needed: there is neither $XDG_STATE_HOME nor $HOME to keep state under");
}

/** `--data-dir`, or the default. */
export function dataDirOf(flags: FlagValues): string {
  return flags.text("data-dir") ?? defaultDataDir(Deno.uid(), Deno.env.toObject());
}
