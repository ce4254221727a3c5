/** Who calls: the SPIFFE identity of a gRPC call's TLS client certificate. */
import type { Authority } from "../../ca/authority/authority.ts";
import type { SpiffeId } from "../../ca/spiffe/spiffe_id.ts";
import { CertificateError } from "../../ca/x509/certificate.ts";
import type { Caller } from "../grpc/grpc_call.ts";
import { GrpcError, Status } from "../grpc/status.ts";

/** The caller has no identity of this mesh. */
export class PeerIdentityError extends GrpcError {
  override name = "PeerIdentityError";
  constructor(details: string, options?: ErrorOptions) {
    super(Status.unauthenticated, details, options);
  }
}

/**
 * The identity of the caller, by a certificate that is ours and valid at this moment. Nothing that the call says of
 * itself counts.
 *
 * @throws {PeerIdentityError}
 */
export function peerIdentity({ certificate }: Caller, authority: Authority): SpiffeId {
  try {
    return authority.verifyPeer(certificate);
  } catch (cause) {
    if (cause instanceof CertificateError) throw new PeerIdentityError(cause.message, { cause });
    throw cause;
  }
}
