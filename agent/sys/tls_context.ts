/** `SSL_CTX`: certificate, key and trust of one side, made whole from PEM and replaced whole on rotation. */
import { crypto, opensslError, ssl } from "./openssl.ts";

const SSL_CTRL_MODE = 33;
const SSL_CTRL_SET_READ_AHEAD = 41;
/** Of the certificate that was used last, which takes it over. */
const SSL_CTRL_CHAIN_CERT = 89;
const SSL_CTRL_SET_GROUPS_LIST = 92;
const X509_V_FLAG_CRL_CHECK = 0x4n;
const X509_V_FLAG_CRL_CHECK_ALL = 0x8n;
const SSL_CTRL_SET_SESS_CACHE_MODE = 44;
const SSL_SESS_CACHE_OFF = 0n;
const SSL_CTRL_SET_MIN_PROTO_VERSION = 123;
const SSL_CTRL_SET_MAX_PROTO_VERSION = 124;
const SSL_OP_NO_TICKET = 1n << 14n;
const SSL_OP_SERVER_PREFERENCE = 1n << 22n;
const SSL_OP_NO_RENEGOTIATION = 1n << 30n;
/** Seconds for which a session can be resumed. Whoever resumes is not asked for a certificate again. */
const sessionLifetime = 600n;
/** A server resumes no session of another kind of context; tickets of another context it cannot read anyway. */
const sessionIdContext = new TextEncoder().encode("skiff");
/** Sessions that a client keeps, one for each server. */
const keptSessions = 1024;
/** A write may be taken in part, and be repeated from another address; buffers of idle connections are given back. */
const SSL_MODES = 0x1n | 0x2n | 0x10n;
const SSL_VERIFY_PEER = 1;
const SSL_VERIFY_FAIL_IF_NO_PEER_CERT = 2;
const SSL_TLSEXT_ERR_OK = 0;
const SSL_TLSEXT_ERR_ALERT_FATAL = 2;
const OPENSSL_NPN_NEGOTIATED = 1;
const versions = { "1.2": 0x0303n, "1.3": 0x0304n } as const;

export interface TlsContextOptions {
  side: "server" | "client";
  /** PEM, leaf first; empty: none. */
  certificateChain: string;
  privateKey: string;
  /** PEM; empty: the peer is not verified, unless by {@link systemTrust}. */
  trustBundle: string;
  /** Verify the peer by the authorities that this machine trusts. */
  systemTrust: boolean;
  /** Server side: refuse a client without a certificate. */
  requirePeerCertificate: boolean;
  /** Offered by a client; agreed to, in this order of preference, by a server. */
  alpn: string[];
  /** Further certificates with keys of other types. */
  otherCertificates?: { certificateChain: string; privateKey: string }[];
  /** PEM, revocation lists: with any, every authority of a peer's chain must have one. Absent: nothing is revoked. */
  crl?: string;
  /** Of TLS 1.2, by OpenSSL's names; absent: {@link defaultCipherSuites}. */
  cipherSuites?: string[];
  /** Absent: {@link defaultGroups}. */
  groups?: string[];
  minimumVersion: "1.2" | "1.3";
  maximumVersion: "1.2" | "1.3";
  /** Resume earlier sessions: a server gives out tickets, a client keeps what it got. */
  resumption: boolean;
}

/** Envoy's: forward secret and authenticated, nothing else. */
const defaultCipherSuites = [
  "ECDHE-ECDSA-AES128-GCM-SHA256",
  "ECDHE-RSA-AES128-GCM-SHA256",
  "ECDHE-ECDSA-CHACHA20-POLY1305",
  "ECDHE-RSA-CHACHA20-POLY1305",
  "ECDHE-ECDSA-AES256-GCM-SHA384",
  "ECDHE-RSA-AES256-GCM-SHA384",
];

/** OpenSSL's own list has finite fields too, by the largest of which a client makes a server compute for long. */
const defaultGroups = ["X25519", "P-256", "P-384"];

/** Certificate, key or trust bundle could not be used. */
export class TlsContextError extends Error {
  override name = "TlsContextError";
}

const selectAlpn = {
  parameters: ["pointer", "pointer", "pointer", "pointer", "u32", "pointer"],
  result: "i32",
} as const;

export class TlsContext {
  #context: Deno.PointerValue;
  readonly side: "server" | "client";
  readonly #resumption: boolean;
  /** `SSL_SESSION*` by server, each with a reference of its own. They go with the context, so with its certificates. */
  readonly #sessions = new Map<string, Deno.PointerValue>();

  /** @throws TlsContextError */
  constructor(options: TlsContextOptions) {
    this.side = options.side;
    this.#resumption = options.resumption && options.side === "client";
    this.#context = ssl.SSL_CTX_new(options.side === "server" ? ssl.TLS_server_method() : ssl.TLS_client_method());
    if (this.#context === null) throw new TlsContextError(`cannot make a TLS context: ${opensslError()}`);
    try {
      this.#configure(options);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** For `SSL_new`. */
  get pointer(): Deno.PointerValue {
    if (this.#context === null) throw new Error("TLS context used after it was closed");
    return this.#context;
  }

  /** Gives up this reference; sessions made from it live on (OpenSSL counts references). */
  close(): void {
    if (this.#context === null) throw new Error("TLS context closed twice");
    ssl.SSL_CTX_free(this.#context);
    this.#context = null;
    for (const session of this.#sessions.values()) ssl.SSL_SESSION_free(session);
    this.#sessions.clear();
  }

  /** Of a client: has a new `SSL*` resume what was kept for this server. */
  resume(connection: Deno.PointerValue, server: string): void {
    const session = this.#sessions.get(server);
    if (session !== undefined) ssl.SSL_set_session(connection, session);
  }

  /** Of a client: keeps the session of an `SSL*` for the next connection to this server. */
  keep(connection: Deno.PointerValue, server: string): void {
    if (!this.#resumption || this.#context === null) return;
    const session = ssl.SSL_get1_session(connection);
    if (session === null) return;
    const before = this.#sessions.get(server);
    if (ssl.SSL_SESSION_is_resumable(session) !== 1) return ssl.SSL_SESSION_free(session);
    if (before !== undefined) ssl.SSL_SESSION_free(before);
    else if (this.#sessions.size >= keptSessions) this.#dropOldest();
    this.#sessions.set(server, session);
  }

  #dropOldest(): void {
    for (const [server, session] of this.#sessions) {
      this.#sessions.delete(server);
      return ssl.SSL_SESSION_free(session);
    }
  }

  #configure(options: TlsContextOptions): void {
    const context = this.#context;
    ssl.SSL_CTX_ctrl(context, SSL_CTRL_SET_MIN_PROTO_VERSION, versions[options.minimumVersion], null);
    ssl.SSL_CTX_ctrl(context, SSL_CTRL_MODE, SSL_MODES, null);
    // One read(2) takes a whole record, not its header first.
    ssl.SSL_CTX_ctrl(context, SSL_CTRL_SET_READ_AHEAD, 1n, null);
    ssl.SSL_CTX_ctrl(context, SSL_CTRL_SET_MAX_PROTO_VERSION, versions[options.maximumVersion], null);
    ssl.SSL_CTX_ctrl(context, SSL_CTRL_SET_SESS_CACHE_MODE, SSL_SESS_CACHE_OFF, null);
    ssl.SSL_CTX_set_session_id_context(context, sessionIdContext, sessionIdContext.length);
    ssl.SSL_CTX_set_timeout(context, sessionLifetime);
    ssl.SSL_CTX_set_num_tickets(context, options.resumption ? 1 : 0);
    if (!options.resumption) ssl.SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
    const ciphers = cString((options.cipherSuites ?? defaultCipherSuites).join(":"));
    if (ssl.SSL_CTX_set_cipher_list(context, ciphers) !== 1) {
      throw new TlsContextError(`none of the cipher suites is known: ${opensslError()}`);
    }
    if (options.side === "server") ssl.SSL_CTX_set_options(context, SSL_OP_SERVER_PREFERENCE | SSL_OP_NO_RENEGOTIATION);
    this.#useGroups(options.groups ?? defaultGroups);
    if (options.certificateChain !== "") this.#useCertificate(options.certificateChain, options.privateKey);
    for (const other of options.otherCertificates ?? []) this.#useCertificate(other.certificateChain, other.privateKey);
    if (options.crl) this.#useRevocationLists(options.crl);
    const required = options.requirePeerCertificate ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0;
    if (options.systemTrust) {
      ssl.SSL_CTX_set_default_verify_paths(context);
      ssl.SSL_CTX_set_verify(context, SSL_VERIFY_PEER | required, null);
    } else if (options.trustBundle !== "") {
      const store = ssl.SSL_CTX_get_cert_store(context);
      const count = eachCertificate(options.trustBundle, (certificate) => {
        crypto.X509_STORE_add_cert(store, certificate);
        crypto.X509_free(certificate);
      });
      if (count === 0) throw new TlsContextError("the trust bundle holds no certificate");
      ssl.SSL_CTX_set_verify(context, SSL_VERIFY_PEER | required, null);
    } else if (options.requirePeerCertificate) {
      throw new TlsContextError("a peer certificate is required but there is no trust bundle to verify it with");
    }
    if (options.alpn.length > 0) {
      if (options.side === "client") ssl.SSL_CTX_set_alpn_protos(context, ...withLength(alpnWire(options.alpn)));
      else ssl.SSL_CTX_set_alpn_select_cb(context, alpnSelection(options.alpn), null);
    }
  }

  #useGroups(groups: string[]): void {
    if (ssl.SSL_CTX_ctrl_text(this.#context, SSL_CTRL_SET_GROUPS_LIST, 0n, cString(groups.join(":"))) === 1n) return;
    throw new TlsContextError(`a group is not known: ${opensslError()}`);
  }

  #useRevocationLists(pem: string): void {
    const store = ssl.SSL_CTX_get_cert_store(this.#context);
    const bytes = new TextEncoder().encode(pem);
    const bio = crypto.BIO_new_mem_buf(bytes, bytes.length);
    let count = 0;
    try {
      for (;; count++) {
        const list = crypto.PEM_read_bio_X509_CRL(bio, null, null, null);
        if (list === null) break;
        crypto.X509_STORE_add_crl(store, list);
        crypto.X509_CRL_free(list);
      }
    } finally {
      crypto.BIO_free(bio);
      crypto.ERR_clear_error();
    }
    if (count === 0) throw new TlsContextError("there is no certificate revocation list in it");
    crypto.X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
  }

  #useCertificate(chain: string, privateKey: string): void {
    const context = this.#context;
    let index = 0;
    eachCertificate(chain, (certificate) => {
      if (index++ === 0) {
        const used = ssl.SSL_CTX_use_certificate(context, certificate);
        crypto.X509_free(certificate);
        if (used !== 1) throw new TlsContextError(`cannot use the certificate: ${opensslError()}`);
      } else if (ssl.SSL_CTX_ctrl(context, SSL_CTRL_CHAIN_CERT, 0n, certificate) !== 1n) {
        crypto.X509_free(certificate);
        throw new TlsContextError(`cannot use the certificate chain: ${opensslError()}`);
      }
    });
    if (index === 0) throw new TlsContextError("the certificate chain holds no certificate");
    const [bytes, size] = withLength(new TextEncoder().encode(privateKey));
    const bio = crypto.BIO_new_mem_buf(bytes, size);
    const key = crypto.PEM_read_bio_PrivateKey(bio, null, null, null);
    crypto.BIO_free(bio);
    if (key === null) throw new TlsContextError(`cannot read the private key: ${opensslError()}`);
    const used = ssl.SSL_CTX_use_PrivateKey(context, key);
    crypto.EVP_PKEY_free(key);
    if (used !== 1 || ssl.SSL_CTX_check_private_key(context) !== 1) {
      throw new TlsContextError(`the private key does not belong to the certificate: ${opensslError()}`);
    }
  }
}

/**
 * Callbacks by list of protocols. They live as long as their thread: a session may still be in its handshake when its
 * context has been replaced.
 */
const alpnSelections = new Map<string, Deno.UnsafeCallback<typeof selectAlpn>>();

/** A callback that agrees to the first of `protocols` that the client offers, and refuses a client that offers none. */
function alpnSelection(protocols: string[]): Deno.PointerValue {
  const key = protocols.join();
  let callback = alpnSelections.get(key);
  if (callback === undefined) {
    const preferred = alpnWire(protocols);
    callback = new Deno.UnsafeCallback(
      selectAlpn,
      (_session, selected, selectedLength, offered, offeredLength) =>
        ssl.SSL_select_next_proto(selected, selectedLength, preferred, preferred.length, offered, offeredLength) ===
            OPENSSL_NPN_NEGOTIATED
          ? SSL_TLSEXT_ERR_OK
          : SSL_TLSEXT_ERR_ALERT_FATAL,
    );
    alpnSelections.set(key, callback);
  }
  return callback.pointer;
}

/** Length-prefixed protocol names, as ALPN's wire has them (RFC 7301 §3.1). */
export function alpnWire(protocols: string[]): Uint8Array<ArrayBuffer> {
  const encoder = new TextEncoder();
  return new Uint8Array(protocols.flatMap((protocol) => {
    const bytes = encoder.encode(protocol);
    return [bytes.length, ...bytes];
  }));
}

function cString(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text + "\0");
}

function withLength(bytes: Uint8Array<ArrayBuffer>): [Uint8Array<ArrayBuffer>, number] {
  return [bytes, bytes.length];
}

/** Hands each certificate of a PEM text to `use`, which owns it then; returns how many there were. */
function eachCertificate(pem: string, use: (certificate: Deno.PointerValue) => void): number {
  const bytes = new TextEncoder().encode(pem);
  const bio = crypto.BIO_new_mem_buf(bytes, bytes.length);
  let count = 0;
  try {
    for (;;) {
      const certificate = crypto.PEM_read_bio_X509(bio, null, null, null);
      if (certificate === null) return count;
      count++;
      use(certificate);
    }
  } finally {
    crypto.BIO_free(bio);
    // The end of the text is an error to PEM_read.
    crypto.ERR_clear_error();
  }
}
