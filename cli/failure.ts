/** How an error ends the program: one line on stderr, and an exit code. */
import { UsageError } from "./usage_error.ts";

export interface Failure {
  message: string;
  /** 2: what was typed, or a file or address that it names, must change; 1: anything else. */
  code: 1 | 2;
}

/** Errors with a `hint` are those that whoever started the program can mend. */
export function failureOf(error: unknown): Failure {
  const hint = error instanceof Error && "hint" in error && typeof error.hint === "string" ? `; ${error.hint}` : "";
  const text = error instanceof Error ? error.message : String(error);
  const mendable = hint !== "" || error instanceof UsageError || error instanceof Deno.errors.AddrInUse ||
    error instanceof Deno.errors.AddrNotAvailable;
  return { message: oneLine(text + hint), code: mendable ? 2 : 1 };
}

function oneLine(text: string): string {
  return text.trim().replaceAll(/\s*\n\s*/g, "; ");
}
