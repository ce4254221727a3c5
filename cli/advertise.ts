/**
 * Under which names and addresses agents reach a control plane that was not told: where it listens, when that is one
 * address; else the machine's own addresses, then its name, then loopback.
 */
export function hostNames(listenHost: string): string[] {
  if (listenHost !== "0.0.0.0" && listenHost !== "::") return [listenHost];
  const addresses = Deno.networkInterfaces()
    .filter(({ address }) => !address.startsWith("127.") && address !== "::1" && !address.startsWith("fe80:"))
    .sort((a, b) => a.family.localeCompare(b.family))
    .map(({ address }) => address);
  return [...new Set([...addresses, Deno.hostname(), "127.0.0.1", "localhost"])];
}
