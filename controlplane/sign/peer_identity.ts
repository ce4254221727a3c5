/** Who calls: the SPIFFE identity of a gRPC call's TLS client certificate. */
import { status } from "@grpc/grpc-js";
import type { Authority } from "../../ca/authority/authority.ts";
import type { SpiffeId } from "../../ca/spiffe/spiffe_id.ts";
import { CertificateError } from "../../ca/x509/certificate.ts";

/** Any call of a `@grpc/grpc-js` server, unary or streaming. */
export interface PeerCall {
  getAuthContext(): { sslPeerCertificate?: { raw: Uint8Array } };
}

/** The caller has no identity of this mesh. As the error of a gRPC call it is answered with UNAUTHENTICATED. */
export class PeerIdentityError extends Error {
  override name = "PeerIdentityError";
  readonly code = status.UNAUTHENTICATED;
  constructor(readonly details: string, options?: ErrorOptions) {
    super(details, options);
  }
}

/**
 * The identity of the caller, by a certificate that is ours and valid at this moment. Nothing that the call says of
 * itself counts.
 *
 * @throws {PeerIdentityError}
 */
export function peerIdentity(call: PeerCall, authority: Authority): SpiffeId {
  // Empty unless the TLS handshake proved the peer's key and verified its certificate.
  const { sslPeerCertificate } = call.getAuthContext();
  if (sslPeerCertificate === undefined) {
    throw new PeerIdentityError("a client certificate of this mesh is needed");
  }
  try {
    return authority.verifyPeer(new Uint8Array(sslPeerCertificate.raw));
  } catch (cause) {
    if (cause instanceof CertificateError) throw new PeerIdentityError(cause.message, { cause });
    throw cause;
  }
}
