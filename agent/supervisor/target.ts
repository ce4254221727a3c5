/** Addresses in agent.yaml: where applications listen, where the control plane is. */
import { isIP } from "node:net";

/** IP address and port of an application, or `unix:/path` with port 0. */
export interface Target {
  address: string;
  port: number;
}

/** `127.0.0.1:9081`, `[::1]:9081`, `127.0.0.1` (then with the port given), `unix:/run/app.sock`; else `undefined`. */
export function parseTarget(text: string, defaultPort: number): Target | undefined {
  if (text.startsWith("unix:")) {
    const path = text.slice("unix:".length).replace(/^\/\//, "");
    // sun_path of unix(7) takes 107 bytes and a NUL.
    const good = /^\/[^\0]*[^/\0]$/.test(path) && new TextEncoder().encode(path).length <= 107;
    return good ? { address: `unix:${path}`, port: 0 } : undefined;
  }
  const parsed = parseHostPort(text, defaultPort);
  return parsed === undefined || isIP(parsed.host) === 0 ? undefined : { address: parsed.host, port: parsed.port };
}

/** A host name or IP address, IPv6 in brackets when a port follows; `undefined` for anything else. */
export function parseHostPort(text: string, defaultPort: number): { host: string; port: number } | undefined {
  if (isIP(text) !== 0) return { host: text, port: defaultPort };
  const found = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9._-]{1,253}))(?::(\d{1,5}))?$/.exec(text);
  if (found === null) return undefined;
  const [, bracketed, plain, digits] = found;
  const port = digits === undefined ? defaultPort : Number(digits);
  if (port < 1 || port > 65535) return undefined;
  if (bracketed !== undefined && isIP(bracketed) !== 6) return undefined;
  return { host: bracketed ?? plain, port };
}
