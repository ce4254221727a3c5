/** Durations as Istio's resources write them: Go's syntax (`1h30m`, `0.5s`, `1ms`). */
import { describe } from "../yaml/node.ts";
import { type Schema, schema, string, wrong } from "../yaml/schema.ts";

/** The text is no duration; the message says what was found and what would be right. */
export class DurationError extends Error {
  override readonly name = "DurationError";

  constructor(readonly text: string) {
    super(`must be a duration such as 1h30m, 2s or 500ms, found ${JSON.stringify(text.slice(0, 60))}`);
  }
}

const milliseconds: Record<string, number> = {
  ns: 1e-6,
  us: 1e-3,
  "µs": 1e-3,
  "μs": 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

/** Go's int64 nanoseconds end at about 292 years. */
const longest = (2 ** 63 - 1) / 1e6;

/**
 * Milliseconds, with a fraction where the text goes below one.
 *
 * Follows Go's time.ParseDuration without a sign: one or more decimal numbers, each with its unit; `0` alone is zero.
 * @throws {DurationError} for any other text.
 */
export function parseDuration(text: string): number {
  if (text === "0") return 0;
  // Nobody writes longer ones, and the pattern below then costs nothing whatever the text.
  if (text.length === 0 || text.length > 64) throw new DurationError(text);
  const part = /(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/y;
  let total = 0;
  while (part.lastIndex < text.length) {
    const found = part.exec(text);
    if (found === null) throw new DurationError(text);
    total += Number(found[1]) * milliseconds[found[2]];
  }
  if (total > longest) throw new DurationError(text);
  // Decimal fractions of seconds are not exact in binary: 1.001 s is 1001 ms, not 1000.9999999999999.
  return Math.round(total * 1e6) / 1e6;
}

/** The same for JSON Schema, which knows neither the least nor the longest one. */
const durationPattern = "^(0|((\\d+\\.?\\d*|\\.\\d+)(ns|us|µs|μs|ms|s|m|h))+)$";

/**
 * A duration of whole milliseconds, kept as it was written; 1 ms at least, unless zero is allowed.
 *
 * Istio's resource definitions demand the millisecond, its validator the whole ones.
 */
export function duration(options: { zero?: boolean } = {}): Schema<string> {
  const asText = string();
  return schema({ type: "string", pattern: durationPattern }, (cursor) => {
    const { node } = cursor;
    if (node.type === "scalar" && typeof node.value === "number") {
      return wrong(cursor, `must be a duration with its unit, such as 2s or 500ms, found ${describe(node)}`);
    }
    const value = asText(cursor);
    if (value === undefined) return undefined;
    try {
      const length = parseDuration(value);
      if (length === 0 && options.zero) return value;
      if (length < 1) return wrong(cursor, `must be at least 1ms, found ${JSON.stringify(value)}; unset means none`);
      return Number.isInteger(length)
        ? value
        : wrong(cursor, `must be whole milliseconds, found ${JSON.stringify(value)}`);
    } catch (error) {
      if (!(error instanceof DurationError)) throw error;
      return wrong(cursor, error.message);
    }
  });
}
