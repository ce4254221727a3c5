/**
 * Reads flags from the command line and from the environment.
 *
 * `--flag value` and `--flag=value`; each flag's variable is `SKIFF_` + its name in capitals with `-` as `_`. The command
 * line wins over the environment. Nothing unknown is let through.
 */
import { didYouMean, UsageError } from "./usage_error.ts";

export interface Flag {
  /** Without the dashes: `data-dir`. */
  name: string;
  /** One letter, where there is a customary one: `-o`. */
  short?: string;
  /** What stands for the value in help: `DIR`. */
  value: string;
  /** May be given several times; in the environment the values are separated by commas. */
  repeated?: boolean;
  description: string;
}

/** What was given for one flag, and where, for messages: `--ttl` or `SKIFF_TTL`. */
export interface Given {
  text: string;
  source: string;
}

export interface ParsedFlags {
  given: Map<string, Given[]>;
  /** Arguments that are not flags, in order. */
  positional: string[];
}

export const environmentName = (flag: string): string => "SKIFF_" + flag.toUpperCase().replaceAll("-", "_");

/**
 * @param what Names the command in messages: `--role=agent`, `token create`.
 * @throws {UsageError} for an unknown flag, a missing value, or a flag given twice that takes one value.
 */
export function parseFlags(
  args: string[],
  flags: Flag[],
  environment: Record<string, string>,
  what: string,
): ParsedFlags {
  const given = new Map<string, Given[]>();
  const positional: string[] = [];
  for (let index = 0; index < args.length; index++) {
    const argument = args[index];
    if (argument === "--") {
      positional.push(...args.slice(index + 1));
      break;
    }
    if (!argument.startsWith("-") || argument === "-") {
      positional.push(argument);
      continue;
    }
    const equals = argument.indexOf("=");
    const spelled = equals < 0 ? argument : argument.slice(0, equals);
    const flag = flags.find(({ name, short }) => spelled === `--${name}` || spelled === `-${short}`);
    if (flag === undefined) {
      const near = didYouMean(spelled, flags.map(({ name }) => `--${name}`));
      throw new UsageError(`unknown flag ${spelled} for ${what}${near}`);
    }
    const text = equals < 0 ? args[++index] : argument.slice(equals + 1);
    if (text === undefined) throw new UsageError(`${spelled} needs a value: ${spelled} ${flag.value}`);
    const values = given.get(flag.name) ?? [];
    if (values.length > 0 && !flag.repeated) throw new UsageError(`${spelled} is given twice; it takes one value`);
    given.set(flag.name, [...values, { text, source: spelled }]);
  }
  for (const flag of flags) {
    const source = environmentName(flag.name);
    const text = environment[source];
    if (text === undefined || text === "" || given.has(flag.name)) continue;
    given.set(flag.name, flag.repeated ? text.split(",").map((part) => ({ text: part, source })) : [{ text, source }]);
  }
  return { given, positional };
}
