/** A name that could not be resolved: nobody knows whether it exists. */
export class DnsError extends Error {
  override readonly name = "DnsError";
}
