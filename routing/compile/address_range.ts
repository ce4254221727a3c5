/** Ranges of IPv4 addresses. */

/** Whether an address lies in a range such as `127.64.0.0/16`. What is no IPv4 address lies in none. */
export function inRange(address: string, range: string): boolean {
  const [base, prefix = "32"] = range.split("/");
  const [one, other] = [ipv4(address), ipv4(base)];
  if (one === null || other === null || !/^[0-9]{1,2}$/.test(prefix) || Number(prefix) > 32) return false;
  // A shift by 32 would be one by 0.
  const mask = prefix === "0" ? 0 : -1 << (32 - Number(prefix));
  return (one & mask) === (other & mask);
}

function ipv4(text: string): number | null {
  if (!/^(?:(?:0|[1-9][0-9]{0,2})(?:\.|$)){4}(?<!\.)$/.test(text)) return null;
  const parts = text.split(".").map(Number);
  return parts.some((part) => part > 255) ? null : parts.reduce((sum, part) => sum << 8 | part, 0);
}
