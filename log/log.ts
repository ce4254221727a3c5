/** Structured logging to stderr, as text or as JSON lines. */

export type Level = "debug" | "info" | "warn" | "error";
export type Fields = Record<string, string | number | boolean | undefined>;

const order: Record<Level, number> = { debug: 0, info: 1, warn: 2, error: 3 };
const encoder = new TextEncoder();
let threshold: Level = "info";
let format: "text" | "json" = "text";

/** Sets what the whole process writes, from `--log-level` and `--log-format`. */
export function configureLog(options: { level: Level; format: "text" | "json" }): void {
  threshold = options.level;
  format = options.format;
}

export function logLevel(): Level {
  return threshold;
}

/** Changes the level of the running process. */
export function setLogLevel(level: Level): void {
  threshold = level;
}

/** Names a part of the program in every line it writes: `const log = logger("push")`. */
export function logger(scope: string): Record<Level, (message: string, fields?: Fields) => void> {
  const write = (level: Level) => (message: string, fields?: Fields) => {
    if (order[level] < order[threshold]) return;
    Deno.stderr.writeSync(encoder.encode(line(new Date(), level, scope, message, fields) + "\n"));
  };
  return { debug: write("debug"), info: write("info"), warn: write("warn"), error: write("error") };
}

/** One log line without its line end. Control characters never reach a terminal or a log file raw. */
export function line(time: Date, level: Level, scope: string, message: string, fields: Fields = {}): string {
  if (format === "json") {
    return JSON.stringify({ time: time.toISOString(), level, scope, message, ...fields });
  }
  const rest = Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => ` ${key}=${typeof value === "string" ? quoted(value) : value}`)
    .join("");
  return `${time.toISOString()} ${level.padEnd(5)} ${scope}: ${printable(message)}${rest}`;
}

function quoted(value: string): string {
  return /^[\w.:/@~|*-]+$/.test(value) ? value : JSON.stringify(value);
}

function printable(text: string): string {
  // deno-lint-ignore no-control-regex -- control characters are what this replaces
  return text.replaceAll(/[\x00-\x1f\x7f]/g, (c) => "\\x" + c.charCodeAt(0).toString(16).padStart(2, "0"));
}
