/** Speaking to the control plane's REST API. */
import type { Flag } from "./flags.ts";
import type { FlagValues } from "./flag_values.ts";
import { UsageError } from "./usage_error.ts";

export const serverFlag: Flag = {
  name: "server",
  value: "URL",
  description: "REST API of the control plane; default http://127.0.0.1:15014",
};

/** @throws {UsageError} when `--server` is no http or https URL. */
export function serverUrl(flags: FlagValues): URL {
  const text = flags.text("server") ?? "http://127.0.0.1:15014";
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new UsageError(`--server: ${JSON.stringify(text)} is not a URL such as http://127.0.0.1:15014`);
  }
  return url;
}

/**
 * One call of the REST API.
 * @throws {Error} when the control plane cannot be reached or refuses; the message says which and what to check.
 */
export async function callServer(server: URL, path: string, request: RequestInit = {}): Promise<unknown> {
  let response: Response;
  try {
    response = await fetch(new URL(path, server), { ...request, signal: AbortSignal.timeout(10_000) });
  } catch (error) {
    const why = error instanceof Error ? (error.cause instanceof Error ? error.cause.message : error.message) : error;
    throw new Error(
      `no answer from the control plane at ${server.origin}: ${why} (is it running? --server names another)`,
    );
  }
  const body = await response.text();
  if (!response.ok) {
    throw new Error(
      `the control plane at ${server.origin} answers ${response.status} to ${path}: ${body.slice(0, 500)}`,
    );
  }
  try {
    return JSON.parse(body);
  } catch {
    throw new Error(`${server.origin}${path} answers something that is not JSON: is it skiff's control plane?`);
  }
}
