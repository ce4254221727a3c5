/** One access log of a listener. */
import type { Expression } from "../../routing/expression/parse.ts";

export interface AccessLogConfig {
  /** A path, `/dev/stdout` included. */
  path: string;
  /** Envoy's format string, or `null` for JSON by {@link json}. */
  format: string | null;
  json: Record<string, string> | null;
  /** What is not there is left out, where otherwise it is a dash in text and null in JSON; absent: not. */
  omitEmptyValues?: boolean;
  /** Only what it holds for is told; absent: everything. */
  filter?: Expression;
}
