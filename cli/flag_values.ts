/** Typed access to parsed flags: each reader checks what was given and says what would be right. */
import { isIP } from "node:net";
import { DurationError, parseDuration } from "../routing/istio/duration.ts";
import { type Given, type ParsedFlags } from "./flags.ts";
import { didYouMean, UsageError } from "./usage_error.ts";

export interface Address {
  host: string;
  port: number;
}

export class FlagValues {
  constructor(private readonly parsed: ParsedFlags) {}

  has(name: string): boolean {
    return this.parsed.given.has(name);
  }

  text(name: string): string | undefined {
    return this.one(name, (text) => text);
  }

  /** Every value of a repeated flag. */
  texts(name: string): string[] {
    return (this.parsed.given.get(name) ?? []).map(({ text }) => text);
  }

  /** Every value of a repeated flag of which each may hold several, separated by commas. */
  list(name: string): string[] {
    return this.texts(name).flatMap((text) => text.split(","))
      .map((part) => part.trim()).filter((part) => part !== "");
  }

  choice<Choice extends string>(name: string, choices: readonly Choice[]): Choice | undefined {
    return this.one(name, (text, source) => {
      const choice = choices.find((candidate) => candidate === text);
      if (choice !== undefined) return choice;
      throw new UsageError(
        `${source}: ${JSON.stringify(text)} is none of ${choices.join(", ")}${didYouMean(text, choices)}`,
      );
    });
  }

  /** `IP:PORT`, with IPv6 in brackets. */
  address(name: string): Address | undefined {
    return this.one(name, parseAddress);
  }

  /** A whole number from 1 to `maximum`. */
  count(name: string, maximum: number): number | undefined {
    return this.one(name, (text, source) => {
      const count = wholeNumber(text);
      if (count >= 1 && count <= maximum) return count;
      throw new UsageError(`${source}: ${JSON.stringify(text)} is not a whole number from 1 to ${maximum}`);
    });
  }

  /** Milliseconds, from Go's notation: `90s`, `1h30m`, `500ms`. */
  duration(name: string): number | undefined {
    return this.one(name, durationOf);
  }

  /** Path of a file that exists and can be read. */
  file(name: string): string | undefined {
    return this.one(name, readableFile);
  }

  /** {@link file} of a repeated flag. */
  files(name: string): string[] {
    return (this.parsed.given.get(name) ?? []).map(({ text, source }) => readableFile(text, source));
  }

  /** Path of a directory that exists and can be read. */
  directory(name: string): string | undefined {
    return this.one(name, (path, source) => {
      try {
        Deno.readDirSync(path)[Symbol.iterator]().next();
      } catch (error) {
        throw new UsageError(`${source}: ${path}: ${reason(error)}`);
      }
      return path;
    });
  }

  private one<Value>(name: string, read: (text: string, source: string) => Value): Value | undefined {
    const given: Given | undefined = this.parsed.given.get(name)?.[0];
    return given === undefined ? undefined : read(given.text, given.source);
  }
}

function readableFile(path: string, source: string): string {
  try {
    Deno.openSync(path, { read: true }).close();
  } catch (error) {
    throw new UsageError(`${source}: ${path}: ${reason(error)}`);
  }
  if (Deno.statSync(path).isDirectory) throw new UsageError(`${source}: ${path}: is a directory, not a file`);
  return path;
}

function parseAddress(text: string, source: string): Address {
  const colon = text.lastIndexOf(":");
  const bracketed = text.startsWith("[") && text[colon - 1] === "]";
  const host = bracketed ? text.slice(1, colon - 1) : text.slice(0, Math.max(colon, 0));
  if (colon < 0 || isIP(host) !== (bracketed ? 6 : 4)) {
    const example = isIP(text) === 6 ? `[${text}]:15012` : "127.0.0.1:15012";
    throw new UsageError(`${source}: ${JSON.stringify(text)} is not IP:PORT, such as ${example}`);
  }
  const port = wholeNumber(text.slice(colon + 1));
  if (!(port >= 0 && port <= 65535)) {
    throw new UsageError(
      `${source}: ${JSON.stringify(text)} names port ${JSON.stringify(text.slice(colon + 1))}; ports are 0 to 65535`,
    );
  }
  return { host, port };
}

function durationOf(text: string, source: string): number {
  let milliseconds: number;
  try {
    milliseconds = parseDuration(text);
  } catch (error) {
    if (error instanceof DurationError) throw new UsageError(`${source}: ${error.message}`);
    throw error;
  }
  if (milliseconds >= 1) return milliseconds;
  throw new UsageError(`${source}: ${JSON.stringify(text)} is too short; it must be at least 1ms`);
}

/** NaN for anything but plain decimal digits. */
function wholeNumber(text: string): number {
  return /^\d{1,9}$/.test(text) ? Number(text) : NaN;
}

function reason(error: unknown): string {
  if (error instanceof Deno.errors.NotFound) return "no such file or directory";
  if (error instanceof Deno.errors.PermissionDenied) return "permission denied";
  if (error instanceof Deno.errors.NotADirectory) return "is not a directory";
  return error instanceof Error ? error.message : String(error);
}
