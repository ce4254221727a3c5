/** The TLS contexts of one proxy: built from its secrets, shared by all who need the same, replaced when a secret is. */
import type { DownstreamTlsConfig, SecretConfig, UpstreamTlsConfig } from "../config/model.ts";
import { systemTrustBundle } from "../config/secret_names.ts";
import { TlsContext, type TlsContextOptions } from "../sys/tls_context.ts";

/** A place for a context: `null` until its secrets have arrived. */
export interface ContextSlot {
  context: TlsContext | null;
}

interface Entry extends ContextSlot {
  certificate: string;
  trustBundle: string;
  options: Omit<TlsContextOptions, "certificateChain" | "privateKey" | "trustBundle" | "systemTrust">;
}

export class TlsContexts {
  readonly #secrets = new Map<string, SecretConfig>();
  readonly #entries = new Map<string, Entry>();

  /** Takes a new secret and replaces the contexts that use it; returns what went wrong, keeping the old ones then. */
  setSecret(secret: SecretConfig): string[] {
    this.#secrets.set(secret.name, secret);
    const errors: string[] = [];
    for (const entry of this.#entries.values()) {
      if (entry.certificate !== secret.name && entry.trustBundle !== secret.name) continue;
      try {
        this.#build(entry);
      } catch (error) {
        errors.push(`secret ${secret.name}: ${error instanceof Error ? error.message : error}`);
      }
    }
    return errors;
  }

  /** Forgets secrets that nothing names any more, and the contexts made of them; connections keep what they have. */
  removeSecrets(names: string[]): void {
    for (const name of names) {
      this.#secrets.delete(name);
      for (const [key, entry] of this.#entries) {
        if (entry.certificate !== name && entry.trustBundle !== name) continue;
        entry.context?.close();
        entry.context = null;
        this.#entries.delete(key);
      }
    }
  }

  server(tls: DownstreamTlsConfig): ContextSlot {
    return this.#slot(tls.certificate, tls.trustBundle, {
      side: "server",
      requirePeerCertificate: tls.requireClientCertificate,
      alpn: tls.alpn,
      minimumVersion: tls.minimumVersion,
      maximumVersion: tls.maximumVersion ?? "1.3",
      resumption: tls.sessionResumption ?? true,
    });
  }

  client(tls: UpstreamTlsConfig): ContextSlot {
    return this.#slot(tls.certificate, tls.trustBundle, {
      side: "client",
      requirePeerCertificate: tls.trustBundle !== "",
      alpn: tls.alpn,
      minimumVersion: tls.minimumVersion ?? "1.2",
      maximumVersion: tls.maximumVersion ?? "1.3",
      resumption: tls.sessionResumption ?? true,
    });
  }

  #slot(certificate: string, trustBundle: string, options: Entry["options"]): ContextSlot {
    const key = JSON.stringify([certificate, trustBundle, options]);
    let entry = this.#entries.get(key);
    if (entry === undefined) {
      entry = { context: null, certificate, trustBundle, options };
      this.#entries.set(key, entry);
      this.#build(entry);
    }
    return entry;
  }

  #build(entry: Entry): void {
    const certificate = this.#secrets.get(entry.certificate);
    const trust = this.#secrets.get(entry.trustBundle);
    const systemTrust = entry.trustBundle === systemTrustBundle;
    const needsBundle = entry.trustBundle !== "" && !systemTrust;
    if ((entry.certificate !== "" && certificate === undefined) || (needsBundle && trust === undefined)) {
      return;
    }
    const context = new TlsContext({
      ...entry.options,
      certificateChain: certificate?.certificateChain ?? "",
      privateKey: certificate?.privateKey ?? "",
      trustBundle: trust?.trustBundle ?? "",
      systemTrust,
    });
    entry.context?.close();
    entry.context = context;
  }

  close(): void {
    for (const entry of this.#entries.values()) entry.context?.close();
    this.#entries.clear();
  }
}
