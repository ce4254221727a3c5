/** WorkloadEntry, as a resource of its own and as an endpoint of a ServiceEntry. */
import { type Fields, map, message } from "../../yaml/collections.ts";
import { integer, type Schema, string } from "../../yaml/schema.ts";
import type { WorkloadEntrySpec } from "../types.ts";
import { hostName, isAddress, labels, locality, portNumber } from "./names.ts";

export const unixScheme = "unix://";

/** A text rule: IP address, host name or Unix socket. */
function address(value: string): string | undefined {
  if (value.length > 256) return "have at most 256 characters";
  if (isAddress(value)) return undefined;
  if (value.startsWith(unixScheme)) {
    const path = value.slice(unixScheme.length);
    const good = path.startsWith("@") ? path.length > 1 : path.startsWith("/") && !path.endsWith("/");
    return good ? undefined : "name a socket by its absolute path, unix:///run/app.sock, or unix://@name";
  }
  return hostName(value) === undefined ? undefined : "be an IP address, a DNS name or unix:///path";
}

/** A text rule: name of a port. */
export function portName(value: string): string | undefined {
  return /^[A-Za-z0-9-]{1,62}$/.test(value) ? undefined : "be a port name (letters, digits, hyphens; 62 at most)";
}

const fields: Fields<WorkloadEntrySpec> = {
  address: string(address),
  ports: map(portNumber, portName, { maximum: 128 }),
  labels,
  network: string(),
  locality: string(locality),
  weight: integer(0, 2 ** 32 - 1),
  serviceAccount: string((value) => value.length <= 253 ? undefined : "have at most 253 characters"),
};

/** As a WorkloadGroup has it: without an address. */
export const workloadEntryTemplate: Schema<WorkloadEntrySpec> = message<WorkloadEntrySpec>(fields);

export const workloadEntry: Schema<WorkloadEntrySpec> = message<WorkloadEntrySpec>(fields, ({ address }, cursor) => {
  if (!cursor.has("address") && !cursor.has("network")) cursor.at("address").error("is required unless network is set");
  if (address?.startsWith(unixScheme) && cursor.has("ports")) {
    cursor.atKey("ports").error("a Unix socket has no ports: remove them");
  }
});
