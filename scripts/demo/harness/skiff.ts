/** Starting skiff from its source as real processes, the way a user would. */
import { v8Flags } from "../../v8_flags.ts";
import { ChildProcess } from "./child_process.ts";

const entry = new URL("../../../main.ts", import.meta.url).pathname;

/** Starts `skiff ARGS` and leaves it running. */
export function startSkiff(name: string, args: string[], environment: Record<string, string> = {}): ChildProcess {
  return new ChildProcess(name, Deno.execPath(), ["run", "-A", v8Flags, "--no-check", entry, ...args], environment);
}

export interface Finished {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs `skiff ARGS` to its end. */
export async function runSkiff(args: string[], environment: Record<string, string> = {}): Promise<Finished> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", v8Flags, "--no-check", entry, ...args],
    env: environment,
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}
