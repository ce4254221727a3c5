/** From the command line to an exit code: finds the command or role, reads its flags, runs it. */
import { configureLog, type Level } from "../log/log.ts";
import { type Command, logFlags } from "./command.ts";
import { commands, laterCommands, roles } from "./commands.ts";
import { failureOf } from "./failure.ts";
import { type Flag, parseFlags } from "./flags.ts";
import { FlagValues } from "./flag_values.ts";
import { commandHelp, overview } from "./help.ts";
import { didYouMean, UsageError } from "./usage_error.ts";

const roleNames = roles.map(({ name }) => name.replace("--role=", ""));
const roleFlag: Flag = { name: "role", value: "ROLE", description: roleNames.join(", ") };

/** @returns the exit code: 0 done, 1 failed, 2 the command line or a file it names is wrong. */
export async function run(args: string[], environment: Record<string, string>): Promise<number> {
  try {
    return await dispatch(args, environment);
  } catch (error) {
    const { message, code } = failureOf(error);
    console.error(`skiff: ${message}`);
    return code;
  }
}

async function dispatch(args: string[], environment: Record<string, string>): Promise<number> {
  if (args[0] === "help" || args.includes("--help") || args.includes("-h")) {
    return help(args.filter((argument) => !/^(help|-h|--help)$/.test(argument)));
  }
  if (args.length > 0 && !args[0].startsWith("-")) {
    const { command, rest } = findCommand(args);
    return await execute(command, rest, environment, command.flags);
  }
  const name = roleName(args, environment);
  if (name === undefined) {
    if (args.length > 0) throw new UsageError(`${args[0]}: name a command, or a role by --role=${roleNames.join("|")}`);
    console.error(overview(commands, roles));
    return 2;
  }
  const role = findRole(name);
  return await execute(role, args, environment, [roleFlag, ...role.flags]);
}

async function execute(
  command: Command,
  args: string[],
  environment: Record<string, string>,
  flags: Flag[],
): Promise<number> {
  const parsed = parseFlags(args, [...flags, ...logFlags], environment, command.name);
  const values = new FlagValues(parsed);
  const level: Level = values.choice("log-level", ["debug", "info", "warn", "error"] as const) ?? "info";
  configureLog({ level, format: values.choice("log-format", ["text", "json"] as const) ?? "text" });
  const expected = command.argument === undefined ? 0 : 1;
  if (parsed.positional.length > expected) {
    throw new UsageError(`unexpected argument ${JSON.stringify(parsed.positional[expected])} for ${command.name}`);
  }
  const [argument = ""] = parsed.positional;
  if (command.argument !== undefined && argument === "") {
    throw new UsageError(`${command.name} needs ${command.argument}: skiff ${command.usage}`);
  }
  return await command.run(values, argument);
}

function help(topic: string[]): number {
  const name = topic[0]?.startsWith("-") ? roleName(topic, {}) : topic[0];
  if (name === undefined) console.log(overview(commands, roles).trimEnd());
  else if (roleNames.includes(name)) console.log(commandHelp(findRole(name), [...findRole(name).flags, ...logFlags]));
  else {
    const { command } = findCommand(topic);
    console.log(commandHelp(command, [...command.flags, ...logFlags]).trimEnd());
  }
  return 0;
}

function findCommand(args: string[]): { command: Command; rest: string[] } {
  for (const command of commands) {
    const words = command.name.split(" ");
    if (words.every((word, index) => args[index] === word)) return { command, rest: args.slice(words.length) };
  }
  if (laterCommands.includes(args[0])) throw new UsageError(`${args[0]} is not in this version`);
  const group = commands.filter(({ name }) => name.startsWith(`${args[0]} `)).map(({ name }) => name);
  if (group.length > 0) throw new UsageError(`${args[0]} needs one of its commands: skiff ${group.join(", skiff ")}`);
  const names = [...commands.map(({ name }) => name.split(" ")[0]), ...laterCommands, "help"];
  throw new UsageError(`unknown command ${JSON.stringify(args[0])}${didYouMean(args[0], names)}`);
}

function roleName(args: string[], environment: Record<string, string>): string | undefined {
  const index = args.findIndex((argument) => argument === "--role" || argument.startsWith("--role="));
  if (index < 0) return environment.SKIFF_ROLE;
  return args[index] === "--role" ? args[index + 1] ?? "" : args[index].slice("--role=".length);
}

function findRole(name: string): Command {
  const role = roles[roleNames.indexOf(name)];
  if (role !== undefined) return role;
  throw new UsageError(
    `--role: ${JSON.stringify(name)} is none of ${roleNames.join(", ")}${didYouMean(name, roleNames)}`,
  );
}
