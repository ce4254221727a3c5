/** PEM (RFC 7468): textual armour around DER. */

/** Blocks of one label, such as `CERTIFICATE`, in order, as DER. Text around blocks is ignored, as the RFC allows. */
export function decodePem(text: string, label: string): Uint8Array<ArrayBuffer>[] {
  const blocks = text.matchAll(/-----BEGIN ([A-Z0-9 ]+)-----([A-Za-z0-9+/=\s]*)-----END ([A-Z0-9 ]+)-----/g);
  return Array.from(blocks)
    .filter(([, begin, , end]) => begin === label && end === label)
    .map(([, , body]) => Uint8Array.fromBase64(body));
}

/** One block with lines of 64 characters, ending in a line end. */
export function encodePem(der: ArrayBuffer | Uint8Array, label: string): string {
  const lines = new Uint8Array(der).toBase64().match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ""].join("\n");
}
