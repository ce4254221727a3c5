/** Which ports this process may listen on. */

/** CAP_NET_BIND_SERVICE, capabilities(7). */
const mayBindAll = 1n << 10n;

/** The lowest port that this process may listen on; `undefined`: any. */
export function lowestPort(): number | undefined {
  const capabilities = /^CapEff:\s*([0-9a-f]+)$/m.exec(read("/proc/self/status"))?.[1] ?? "0";
  if ((BigInt(`0x${capabilities}`) & mayBindAll) !== 0n) return undefined;
  const start = Number(read("/proc/sys/net/ipv4/ip_unprivileged_port_start").trim() || 1024);
  return start > 1 ? start : undefined;
}

function read(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return "";
  }
}
