/** The OpenSSL 3 calls of the data plane, through Deno's FFI. Only `tls_context.ts` and `tls_session.ts` use them. */

export const ssl = Deno.dlopen(
  "libssl.so.3",
  {
    TLS_server_method: { parameters: [], result: "pointer" },
    TLS_client_method: { parameters: [], result: "pointer" },
    SSL_CTX_new: { parameters: ["pointer"], result: "pointer" },
    SSL_CTX_free: { parameters: ["pointer"], result: "void" },
    SSL_CTX_ctrl: { parameters: ["pointer", "i32", "i64", "pointer"], result: "i64" },
    SSL_CTX_ctrl_text: { name: "SSL_CTX_ctrl", parameters: ["pointer", "i32", "i64", "buffer"], result: "i64" },
    SSL_CTX_set_cipher_list: { parameters: ["pointer", "buffer"], result: "i32" },
    SSL_CTX_use_certificate: { parameters: ["pointer", "pointer"], result: "i32" },
    SSL_CTX_use_PrivateKey: { parameters: ["pointer", "pointer"], result: "i32" },
    SSL_CTX_check_private_key: { parameters: ["pointer"], result: "i32" },
    SSL_CTX_get_cert_store: { parameters: ["pointer"], result: "pointer" },
    SSL_CTX_set_verify: { parameters: ["pointer", "i32", "pointer"], result: "void" },
    SSL_CTX_set_default_verify_paths: { parameters: ["pointer"], result: "i32" },
    SSL_CTX_set_session_id_context: { parameters: ["pointer", "buffer", "u32"], result: "i32" },
    SSL_CTX_set_timeout: { parameters: ["pointer", "i64"], result: "i64" },
    SSL_CTX_set_options: { parameters: ["pointer", "u64"], result: "u64" },
    SSL_CTX_set_num_tickets: { parameters: ["pointer", "u32"], result: "i32" },
    SSL_CTX_set_default_read_buffer_len: { parameters: ["pointer", "u32"], result: "void" },
    SSL_CTX_set_alpn_select_cb: { parameters: ["pointer", "pointer", "pointer"], result: "void" },
    SSL_CTX_set_alpn_protos: { parameters: ["pointer", "buffer", "u32"], result: "i32" },
    SSL_select_next_proto: {
      parameters: ["pointer", "pointer", "buffer", "u32", "pointer", "u32"],
      result: "i32",
    },
    SSL_new: { parameters: ["pointer"], result: "pointer" },
    SSL_free: { parameters: ["pointer"], result: "void" },
    SSL_set_fd: { parameters: ["pointer", "i32"], result: "i32" },
    SSL_set_alpn_protos: { parameters: ["pointer", "buffer", "u32"], result: "i32" },
    SSL_set_session: { parameters: ["pointer", "pointer"], result: "i32" },
    SSL_get1_session: { parameters: ["pointer"], result: "pointer" },
    SSL_SESSION_is_resumable: { parameters: ["pointer"], result: "i32" },
    SSL_SESSION_free: { parameters: ["pointer"], result: "void" },
    SSL_set_accept_state: { parameters: ["pointer"], result: "void" },
    SSL_set_connect_state: { parameters: ["pointer"], result: "void" },
    SSL_ctrl: { parameters: ["pointer", "i32", "i64", "buffer"], result: "i64" },
    SSL_do_handshake: { parameters: ["pointer"], result: "i32" },
    SSL_read: { parameters: ["pointer", "buffer", "i32"], result: "i32" },
    SSL_read_at: { name: "SSL_read", parameters: ["pointer", "pointer", "i32"], result: "i32" },
    SSL_write: { parameters: ["pointer", "buffer", "i32"], result: "i32" },
    SSL_write_at: { name: "SSL_write", parameters: ["pointer", "pointer", "i32"], result: "i32" },
    SSL_has_pending: { parameters: ["pointer"], result: "i32" },
    SSL_shutdown: { parameters: ["pointer"], result: "i32" },
    SSL_get_error: { parameters: ["pointer", "i32"], result: "i32" },
    SSL_get1_peer_certificate: { parameters: ["pointer"], result: "pointer" },
    SSL_get_peer_cert_chain: { parameters: ["pointer"], result: "pointer" },
    SSL_get_verify_result: { parameters: ["pointer"], result: "i32" },
    SSL_get_version: { parameters: ["pointer"], result: "pointer" },
    SSL_get0_alpn_selected: { parameters: ["pointer", "buffer", "buffer"], result: "void" },
  } as const,
).symbols;

export const crypto = Deno.dlopen(
  "libcrypto.so.3",
  {
    BIO_new_mem_buf: { parameters: ["buffer", "i32"], result: "pointer" },
    BIO_free: { parameters: ["pointer"], result: "i32" },
    PEM_read_bio_X509: { parameters: ["pointer", "pointer", "pointer", "pointer"], result: "pointer" },
    PEM_read_bio_PrivateKey: { parameters: ["pointer", "pointer", "pointer", "pointer"], result: "pointer" },
    PEM_read_bio_X509_CRL: { parameters: ["pointer", "pointer", "pointer", "pointer"], result: "pointer" },
    X509_STORE_add_crl: { parameters: ["pointer", "pointer"], result: "i32" },
    X509_STORE_set_flags: { parameters: ["pointer", "u64"], result: "i32" },
    X509_CRL_free: { parameters: ["pointer"], result: "void" },
    X509_get_X509_PUBKEY: { parameters: ["pointer"], result: "pointer" },
    i2d_X509_PUBKEY: { parameters: ["pointer", "buffer"], result: "i32" },
    X509_STORE_add_cert: { parameters: ["pointer", "pointer"], result: "i32" },
    X509_free: { parameters: ["pointer"], result: "void" },
    EVP_PKEY_free: { parameters: ["pointer"], result: "void" },
    OPENSSL_sk_num: { parameters: ["pointer"], result: "i32" },
    OPENSSL_sk_value: { parameters: ["pointer", "i32"], result: "pointer" },
    i2d_X509: { parameters: ["pointer", "buffer"], result: "i32" },
    X509_verify_cert_error_string: { parameters: ["i64"], result: "pointer" },
    ERR_get_error: { parameters: [], result: "u64" },
    ERR_clear_error: { parameters: [], result: "void" },
    ERR_error_string_n: { parameters: ["u64", "buffer", "usize"], result: "void" },
  } as const,
).symbols;

/** The reason of the oldest error in this thread's OpenSSL queue, which is emptied. */
export function opensslError(): string {
  const code = crypto.ERR_get_error();
  crypto.ERR_clear_error();
  if (code === 0n) return "unknown TLS error";
  const text = new Uint8Array(256);
  crypto.ERR_error_string_n(code, text, 256n);
  const whole = new TextDecoder().decode(text.subarray(0, text.indexOf(0)));
  return whole.split(":").at(-1) || whole;
}
