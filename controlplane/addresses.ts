/** Where the control plane listens, and under what others reach it. */
import { ControlPlaneError } from "./control_plane_error.ts";

export interface Address {
  /** An IP address. */
  host: string;
  /** 0 picks a free one. */
  port: number;
}

/** `host:port`, with brackets around an IPv6 address. */
export function formatAddress({ host, port }: Address): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/** The addresses that agents are told: every advertised name, at the port. */
export function advertisedAddresses(names: string[], port: number): string[] {
  return names.map((host) => formatAddress({ host, port }));
}

/**
 * Opens a listener; what keeps it from listening is told by the flag that says where.
 *
 * @throws {ControlPlaneError} `listen`
 */
export async function listening<Listener>(
  flag: string,
  address: Address,
  open: () => Listener | Promise<Listener>,
): Promise<Listener> {
  try {
    return await open();
  } catch (cause) {
    const text = cause instanceof Error ? cause.message : String(cause);
    const reason = /EADDRINUSE|Address already in use/i.test(text) ? "it is in use" : text;
    const message = `${flag}: cannot listen on ${formatAddress(address)}: ${reason}`;
    throw new ControlPlaneError("listen", message, "free the address, or name another one", { cause });
  }
}
