/** Addresses in `x-forwarded-for`. */
import { isIP } from "node:net";
import type { Fields } from "../decode/head.ts";
import { Known } from "../decode/known_headers.ts";

/**
 * The address that stands `skip` places before the last one of all `x-forwarded-for` lines, and whether it is the only
 * one; `null` where there is none or it is no IP address.
 */
export function lastAddress(fields: Fields, skip: number): { address: string; single: boolean } | null {
  const values: string[] = [];
  for (let i = Math.max(fields.first[Known.forwardedFor], 0); i < fields.count; i++) {
    if (fields.ids[i] === Known.forwardedFor && fields.dropped[i] === 0) values.push(fields.value(i));
  }
  const addresses = values.join(",").split(",").map((each) => each.trim());
  const address = addresses.at(-1 - skip);
  return address === undefined || isIP(address) === 0 ? null : { address, single: addresses.length === 1 };
}
