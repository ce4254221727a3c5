/**
 * Renewal over mutual TLS: `istio.v1.auth.IstioCertificateService`.
 *
 * A caller renews the identity of the certificate it calls with, and no other; the names in its request may at most
 * repeat it.
 */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { Authority } from "../../ca/authority/authority.ts";
import { AuthorityError } from "../../ca/authority/authority_error.ts";
import { formatServiceAccount } from "../../ca/spiffe/spiffe_id.ts";
import { SigningRequestError } from "../../ca/x509/signing_request.ts";
import { logger } from "../../log/log.ts";
import {
  IstioCertificateRequestSchema,
  IstioCertificateResponseSchema,
} from "../../routing/xds/gen/istio/v1/auth/ca_pb.ts";
import type { Caller, Method } from "../grpc/grpc_call.ts";
import { GrpcError, Status } from "../grpc/status.ts";
import { unary } from "../grpc/unary.ts";
import { peerIdentity } from "./peer_identity.ts";

/** A signing request has one or two kilobytes. */
const requestLimit = 64 * 1024;
const log = logger("sign");

export function signingService(authority: Authority): Method {
  return unary({
    path: "/istio.v1.auth.IstioCertificateService/CreateCertificate",
    requestLimit,
    async answer(request, caller) {
      try {
        return await renew(authority, request, caller);
      } catch (error) {
        throw refusalOf(error);
      }
    },
  });
}

async function renew(authority: Authority, request: Uint8Array, caller: Caller): Promise<Uint8Array> {
  const id = peerIdentity(caller, authority);
  const { csr, validityDuration } = fromBinary(IstioCertificateRequestSchema, request);
  // Proto3 has no absent number: 0 asks for the default, as in Istio.
  const ttl = validityDuration === 0n ? undefined : Number(validityDuration) * 1000;
  const { chain, notAfter } = await authority.signWorkload(csr, id, ttl);
  log.info("renewed", {
    identity: formatServiceAccount(id),
    remote: caller.remote,
    notAfter: notAfter.toISOString(),
  });
  return toBinary(IstioCertificateResponseSchema, create(IstioCertificateResponseSchema, { certChain: chain }));
}

/** The status with which a call ends. Callers here have an identity or none: both learn what they can act on. */
function refusalOf(error: unknown): GrpcError {
  const reason = error instanceof Error ? error.message : String(error);
  if (error instanceof GrpcError) {
    log.warn("renewal refused", { reason });
    return error;
  }
  if (error instanceof SigningRequestError || (error instanceof AuthorityError && error.code === "bad_lifetime")) {
    log.warn("renewal refused", { reason });
    return new GrpcError(Status.invalidArgument, `${reason}; ${error.hint}`);
  }
  log.error("renewal failed", { reason });
  return new GrpcError(Status.internal, "the control plane cannot sign now; its log says why");
}
