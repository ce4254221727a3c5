/** Whether OpenSSL can use a certificate with its key, or a trust bundle, before anything relies on it. */
import type { SecretConfig } from "./model.ts";
import { TlsContext } from "../sys/tls_context.ts";

/** @throws {TlsContextError} that says what is wrong with it */
export function checkSecret(secret: SecretConfig): void {
  new TlsContext({
    side: "server",
    ...secret,
    systemTrust: false,
    requirePeerCertificate: false,
    alpn: [],
    minimumVersion: "1.2",
    maximumVersion: "1.3",
    resumption: false,
  }).close();
}
