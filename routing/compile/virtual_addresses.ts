/** Loopback addresses for services: local applications reach each service under an address of its own. */
import type { Service } from "../mesh.ts";
import { goesByAuthority } from "./dynamic_forward_proxy.ts";
import { inRange } from "./address_range.ts";

/** The first addresses of a range are left to users, who may give them to services by name. */
const RESERVED = 256;

/**
 * The addresses within the range on which an agent listens for each service, by hostname.
 *
 * A service that names addresses within the range has these. Each other gets one that follows from its hostname, as in
 * Istio's allocation, so that it stays the same while services come and go; of two that would get one, the first by
 * hostname has it and the other the next that is free. Without endpoints to balance over a service gets none.
 *
 * @param services in the order of their hostnames
 * @param range of IPv4 addresses, `127.64.0.0/16`
 */
export function virtualAddresses(services: readonly Service[], range: string): Map<string, string[]> {
  const reachable = services.filter((service) => !goesByAuthority(service));
  const own = new Map(
    reachable.map(({ hostname, addresses }) => [hostname, addresses.filter((address) => inRange(address, range))]),
  );
  const taken = new Set([...own.values()].flat());
  const allocation = new Map<string, string[]>();
  const [base, prefix = "32"] = range.split("/");
  const size = 2 ** (32 - Number(prefix));
  const first = size > 2 * RESERVED ? RESERVED : 1;
  // The last address of a range is left out too: elsewhere it means all of it.
  const count = size - first - 1;
  for (const [hostname, addresses] of own) {
    if (addresses.length > 0) {
      allocation.set(hostname, addresses);
      continue;
    }
    const start = hash(hostname);
    for (let attempt = 0; attempt < count; attempt++) {
      const address = offsetBy(base, size, first + (start + attempt) % count);
      if (taken.has(address)) continue;
      taken.add(address);
      allocation.set(hostname, [address]);
      break;
    }
  }
  return allocation;
}

function offsetBy(base: string, size: number, offset: number): string {
  const number = base.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
  const address = number - number % size + offset;
  return [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join(".");
}

/** FNV-1a, 32 bits. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  return value >>> 0;
}
