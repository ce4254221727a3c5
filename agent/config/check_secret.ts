/** Whether OpenSSL can use secrets and settings, before anything relies on them. */
import type { SecretConfig, TlsSettings } from "./model.ts";
import { TlsContext, TlsContextError, type TlsContextOptions } from "../sys/tls_context.ts";

const plain: TlsContextOptions = {
  side: "server",
  certificateChain: "",
  privateKey: "",
  trustBundle: "",
  systemTrust: false,
  requirePeerCertificate: false,
  alpn: [],
  minimumVersion: "1.2",
  maximumVersion: "1.3",
  resumption: false,
};

/** @throws {TlsContextError} that says what is wrong with it */
export function checkSecret({ certificateChain, privateKey, trustBundle, crl }: SecretConfig): void {
  new TlsContext({ ...plain, certificateChain, privateKey, trustBundle, crl }).close();
}

/** Whether all that the settings name is known. */
export function isUsable({ cipherSuites, groups }: TlsSettings): boolean {
  try {
    new TlsContext({ ...plain, cipherSuites, groups }).close();
    return true;
  } catch (error) {
    if (error instanceof TlsContextError) return false;
    throw error;
  }
}
