import type { FlagValues } from "./flag_values.ts";
import type { Flag } from "./flags.ts";
import { UsageError } from "./usage_error.ts";

export const tokenFlags: Flag[] = [
  { name: "token", value: "TOKEN", description: "join token, needed for the first join only" },
  { name: "token-file", value: "FILE", description: "file that holds the join token" },
];

/** The join token, wherever it was given. @throws {UsageError} */
export function tokenOf(flags: FlagValues): string | undefined {
  if (flags.has("token") && flags.has("token-file")) {
    throw new UsageError("--token and --token-file are both given; one is enough");
  }
  const file = flags.file("token-file");
  const token = (file === undefined ? flags.text("token") : Deno.readTextFileSync(file))?.trim();
  if (token === "") throw new UsageError(`${file === undefined ? "--token" : `--token-file: ${file}`}: is empty`);
  return token;
}
