/** The TLS contexts of one proxy: built from its secrets, shared by all who need the same, replaced when a secret is. */
import type { DownstreamTlsConfig, SecretConfig, UpstreamTlsConfig } from "../config/model.ts";
import { systemTrustBundle } from "../config/secret_names.ts";
import { TlsContext, type TlsContextOptions } from "../sys/tls_context.ts";

/** A place for a context: `null` until its secrets have arrived. */
export interface ContextSlot {
  context: TlsContext | null;
}

type Settings = Omit<
  TlsContextOptions,
  "certificateChain" | "privateKey" | "otherCertificates" | "trustBundle" | "systemTrust" | "crl"
>;

interface Entry extends ContextSlot {
  /** The first is the one that must be there where there are any. */
  certificates: string[];
  trustBundle: string;
  crl: string;
  settings: Settings;
}

export class TlsContexts {
  readonly #secrets = new Map<string, SecretConfig>();
  readonly #entries = new Map<string, Entry>();

  /** Takes a new secret and replaces the contexts that use it; returns what went wrong, keeping the old ones then. */
  setSecret(secret: SecretConfig): string[] {
    this.#secrets.set(secret.name, secret);
    const errors: string[] = [];
    for (const entry of this.#entries.values()) {
      if (!uses(entry, secret.name)) continue;
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
        if (!uses(entry, name)) continue;
        entry.context?.close();
        entry.context = null;
        this.#entries.delete(key);
      }
    }
  }

  server(tls: DownstreamTlsConfig): ContextSlot {
    const certificates = [tls.certificate, ...tls.otherCertificates ?? []];
    return this.#slot(certificates, tls.trustBundle, tls.crl ?? "", {
      side: "server",
      requirePeerCertificate: tls.requireClientCertificate,
      alpn: tls.alpn,
      cipherSuites: tls.cipherSuites,
      groups: tls.groups,
      minimumVersion: tls.minimumVersion,
      maximumVersion: tls.maximumVersion ?? "1.3",
      resumption: tls.sessionResumption ?? true,
    });
  }

  client(tls: UpstreamTlsConfig): ContextSlot {
    const certificates = tls.certificate === "" ? [] : [tls.certificate];
    return this.#slot(certificates, tls.trustBundle, tls.crl ?? "", {
      side: "client",
      requirePeerCertificate: tls.trustBundle !== "",
      alpn: tls.alpn,
      cipherSuites: tls.cipherSuites,
      groups: tls.groups,
      minimumVersion: tls.minimumVersion ?? "1.2",
      maximumVersion: tls.maximumVersion ?? "1.3",
      resumption: tls.sessionResumption ?? true,
    });
  }

  #slot(certificates: string[], trustBundle: string, crl: string, settings: Settings): ContextSlot {
    const key = JSON.stringify([certificates, trustBundle, crl, settings]);
    let entry = this.#entries.get(key);
    if (entry === undefined) {
      entry = { context: null, certificates, trustBundle, crl, settings };
      this.#entries.set(key, entry);
      this.#build(entry);
    }
    return entry;
  }

  #build(entry: Entry): void {
    const systemTrust = entry.trustBundle === systemTrustBundle;
    const needed = [...entry.certificates, systemTrust ? "" : entry.trustBundle, entry.crl].filter((name) =>
      name !== ""
    );
    if (needed.some((name) => !this.#secrets.has(name))) return;
    const [certificate, ...otherCertificates] = entry.certificates.map((name) => this.#secrets.get(name)!);
    const trust = this.#secrets.get(entry.trustBundle);
    const context = new TlsContext({
      ...entry.settings,
      certificateChain: certificate?.certificateChain ?? "",
      privateKey: certificate?.privateKey ?? "",
      otherCertificates,
      trustBundle: trust?.trustBundle ?? "",
      systemTrust,
      crl: (trust?.crl ?? "") + (this.#secrets.get(entry.crl)?.crl ?? ""),
    });
    entry.context?.close();
    entry.context = context;
  }

  close(): void {
    for (const entry of this.#entries.values()) entry.context?.close();
    this.#entries.clear();
  }
}

function uses({ certificates, trustBundle, crl }: Entry, name: string): boolean {
  return certificates.includes(name) || trustBundle === name || crl === name;
}
