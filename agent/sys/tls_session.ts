/** `SSL*` of one connection over its socket: owned, freed exactly once, never reached after. */
import { crypto, opensslError, ssl } from "./openssl.ts";
import { END_OF_STREAM, FAILED, type Socket, WOULD_BLOCK } from "./socket.ts";
import { alpnWire, type TlsContext } from "./tls_context.ts";

const SSL_ERROR_WANT_READ = 2;
const SSL_ERROR_WANT_WRITE = 3;
const SSL_ERROR_ZERO_RETURN = 6;
/** Reason of an error: the peer closed the connection without close_notify. */
const SSL_R_UNEXPECTED_EOF_WHILE_READING = 294;
const reasonMask = 0x7fffffn;
const SSL_CTRL_SET_TLSEXT_HOSTNAME = 55;
const X509_V_OK = 0;
/** A record's payload is at most this long; a write that blocked must be repeated with at least its length. */
const maximumRecord = 16384;

export const HANDSHAKE_DONE = 0;
export const HANDSHAKE_WANTS_READ = 1;
export const HANDSHAKE_WANTS_WRITE = 2;
export const HANDSHAKE_FAILED = 3;

export class TlsSession {
  #session: Deno.PointerValue;
  /** Why the handshake failed. */
  failure = "";
  /** A read failed because the peer had closed the connection without saying so within TLS. */
  truncated = false;
  #established = false;

  /** @param server of a client: names the server whose earlier session may be resumed; empty: none */
  constructor(
    private readonly context: TlsContext,
    socket: Socket,
    serverName: string,
    private readonly server = "",
  ) {
    this.#session = ssl.SSL_new(context.pointer);
    if (this.#session === null) throw new Error(`cannot make a TLS session: ${opensslError()}`);
    ssl.SSL_set_fd(this.#session, socket.descriptor);
    if (context.side === "server") ssl.SSL_set_accept_state(this.#session);
    else {
      ssl.SSL_set_connect_state(this.#session);
      if (serverName !== "") {
        const TLSEXT_NAMETYPE_host_name = 0n;
        const name = new TextEncoder().encode(serverName + "\0");
        ssl.SSL_ctrl(this.#session, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, name);
      }
      if (server !== "") context.resume(this.#session, server);
    }
  }

  /** Offers other protocols by ALPN than the context does; before the handshake begins. */
  offer(protocols: string[]): void {
    const wire = alpnWire(protocols);
    ssl.SSL_set_alpn_protos(this.#open(), wire, wire.length);
  }

  /** One step of the handshake: one of the `HANDSHAKE_…` values. */
  handshake(): number {
    const result = ssl.SSL_do_handshake(this.#open());
    if (result === 1) {
      this.#established = true;
      return HANDSHAKE_DONE;
    }
    const reason = ssl.SSL_get_error(this.#session, result);
    if (reason === SSL_ERROR_WANT_READ) return HANDSHAKE_WANTS_READ;
    if (reason === SSL_ERROR_WANT_WRITE) return HANDSHAKE_WANTS_WRITE;
    const verified = ssl.SSL_get_verify_result(this.#session);
    this.failure = verified === X509_V_OK ? opensslError() : verifyText(verified);
    crypto.ERR_clear_error();
    return HANDSHAKE_FAILED;
  }

  /** As {@link Socket.read}. */
  read(buffer: Uint8Array<ArrayBuffer>, pointer: Deno.PointerValue, offset: number, size: number): number {
    const count = offset === 0
      ? ssl.SSL_read_at(this.#open(), pointer, size)
      : ssl.SSL_read(this.#open(), buffer.subarray(offset), size);
    return count > 0 ? count : this.#result(count);
  }

  /** As {@link Socket.write}; takes one record at the most. */
  write(buffer: Uint8Array<ArrayBuffer>, pointer: Deno.PointerValue, offset: number, size: number): number {
    const part = size > maximumRecord ? maximumRecord : size;
    const count = offset === 0 && pointer !== null
      ? ssl.SSL_write_at(this.#open(), pointer, part)
      : ssl.SSL_write(this.#open(), buffer.subarray(offset), part);
    return count > 0 ? count : this.#result(count);
  }

  /** Whether bytes have left the socket that {@link read} has not given out: epoll will not tell of them. */
  hasPending(): boolean {
    return ssl.SSL_has_pending(this.#open()) === 1;
  }

  /** The peer's certificate as DER, or `null` when it sent none. */
  peerCertificate(): Uint8Array | null {
    const certificate = ssl.SSL_get1_peer_certificate(this.#open());
    if (certificate === null) return null;
    try {
      return encoded(certificate);
    } finally {
      crypto.X509_free(certificate);
    }
  }

  /** The peer's public key as SubjectPublicKeyInfo in DER, or `null` when it sent no certificate. */
  peerPublicKey(): Uint8Array | null {
    const certificate = ssl.SSL_get1_peer_certificate(this.#open());
    if (certificate === null) return null;
    try {
      return written(crypto.i2d_X509_PUBKEY, crypto.X509_get_X509_PUBKEY(certificate));
    } finally {
      crypto.X509_free(certificate);
    }
  }

  /** The certificates that a client sent along with its own, as DER: those that lead to the root. */
  peerChain(): Uint8Array[] {
    const chain = ssl.SSL_get_peer_cert_chain(this.#open());
    if (chain === null) return [];
    // The stack and what is in it stay the session's.
    const certificates = Array.from(
      { length: crypto.OPENSSL_sk_num(chain) },
      (_, i) => encoded(crypto.OPENSSL_sk_value(chain, i)),
    );
    return certificates.filter((each) => each !== null);
  }

  /** `TLSv1.3` … */
  version(): string {
    return Deno.UnsafePointerView.getCString(ssl.SSL_get_version(this.#open())!);
  }

  /** The protocol agreed on by ALPN, or the empty string. */
  applicationProtocol(): string {
    const data = new BigUint64Array(1);
    const length = new Uint32Array(1);
    ssl.SSL_get0_alpn_selected(this.#open(), new Uint8Array(data.buffer), new Uint8Array(length.buffer));
    if (length[0] === 0) return "";
    const bytes = Deno.UnsafePointerView.getArrayBuffer(Deno.UnsafePointer.create(data[0])!, length[0]);
    return new TextDecoder().decode(bytes.slice(0));
  }

  /** Sends close_notify: the peer reads an end of stream, and may go on sending. False: not yet, try again. */
  finishWriting(): boolean {
    const result = ssl.SSL_shutdown(this.#open());
    if (result >= 0) return true;
    const blocked = ssl.SSL_get_error(this.#session, result) === SSL_ERROR_WANT_WRITE;
    crypto.ERR_clear_error();
    return !blocked;
  }

  /** Sends close_notify, then frees the session. The socket is its owner's. */
  close(): void {
    const session = this.#open();
    this.#session = null;
    // TLS 1.3 tickets arrive after the handshake: the session is whole when the connection ends.
    if (this.#established && this.server !== "") this.context.keep(session, this.server);
    if (ssl.SSL_shutdown(session) < 0) crypto.ERR_clear_error();
    ssl.SSL_free(session);
  }

  #result(count: number): number {
    const reason = ssl.SSL_get_error(this.#session, count);
    if (reason === SSL_ERROR_WANT_READ || reason === SSL_ERROR_WANT_WRITE) return WOULD_BLOCK;
    if (reason === SSL_ERROR_ZERO_RETURN) return END_OF_STREAM;
    this.truncated = Number(crypto.ERR_get_error() & reasonMask) === SSL_R_UNEXPECTED_EOF_WHILE_READING;
    crypto.ERR_clear_error();
    return FAILED;
  }

  #open(): Deno.PointerValue {
    if (this.#session === null) throw new Error("TLS session used after it was closed");
    return this.#session;
  }
}

function verifyText(code: number): string {
  const text = crypto.X509_verify_cert_error_string(BigInt(code));
  return text === null ? `certificate verification failed (${code})` : Deno.UnsafePointerView.getCString(text);
}

function encoded(certificate: Deno.PointerValue): Uint8Array | null {
  return written(crypto.i2d_X509, certificate);
}

/** What one of OpenSSL's `i2d_…` functions writes of a structure. */
function written(
  write: (structure: Deno.PointerValue, target: Uint8Array<ArrayBuffer> | null) => number,
  structure: Deno.PointerValue,
): Uint8Array | null {
  const length = write(structure, null);
  if (length <= 0) return null;
  const der = new Uint8Array(length);
  const target = new BigUint64Array([Deno.UnsafePointer.value(Deno.UnsafePointer.of(der))]);
  write(structure, new Uint8Array(target.buffer));
  return der;
}
