/**
 * Renewal over mutual TLS: `istio.v1.auth.IstioCertificateService`.
 *
 * A caller renews the identity of the certificate it calls with, and no other; the names in its request may at most
 * repeat it.
 */
import { Buffer } from "node:buffer";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { type handleUnaryCall, type MethodDefinition, type ServiceError, status } from "@grpc/grpc-js";
import type { Authority } from "../../ca/authority/authority.ts";
import { AuthorityError } from "../../ca/authority/authority_error.ts";
import { formatServiceAccount } from "../../ca/spiffe/spiffe_id.ts";
import { SigningRequestError } from "../../ca/x509/signing_request.ts";
import { logger } from "../../log/log.ts";
import {
  type IstioCertificateRequest,
  IstioCertificateRequestSchema,
  type IstioCertificateResponse,
  IstioCertificateResponseSchema,
} from "../../routing/xds/gen/istio/v1/auth/ca_pb.ts";
import { peerIdentity, PeerIdentityError } from "./peer_identity.ts";

/** What `Server.addService(definition, implementation)` takes. */
export interface SigningService {
  definition: { createCertificate: MethodDefinition<IstioCertificateRequest, IstioCertificateResponse> };
  implementation: { createCertificate: handleUnaryCall<IstioCertificateRequest, IstioCertificateResponse> };
}

const log = logger("sign");

const definition: SigningService["definition"] = {
  createCertificate: {
    path: "/istio.v1.auth.IstioCertificateService/CreateCertificate",
    originalName: "CreateCertificate",
    requestStream: false,
    responseStream: false,
    requestSerialize: (message) => Buffer.from(toBinary(IstioCertificateRequestSchema, message)),
    requestDeserialize: (bytes) => fromBinary(IstioCertificateRequestSchema, bytes),
    responseSerialize: (message) => Buffer.from(toBinary(IstioCertificateResponseSchema, message)),
    responseDeserialize: (bytes) => fromBinary(IstioCertificateResponseSchema, bytes),
  },
};

/** The service, for a `@grpc/grpc-js` server whose credentials ask for client certificates of this authority. */
export function signingService(authority: Authority): SigningService {
  return {
    definition,
    implementation: {
      createCertificate(call, callback) {
        renew(authority, call).then((response) => callback(null, response), (error) => callback(refusalOf(error)));
      },
    },
  };
}

async function renew(
  authority: Authority,
  call: Parameters<SigningService["implementation"]["createCertificate"]>[0],
): Promise<IstioCertificateResponse> {
  const id = peerIdentity(call, authority);
  const { csr, validityDuration } = call.request;
  // Proto3 has no absent number: 0 asks for the default, as in Istio.
  const ttl = validityDuration === 0n ? undefined : Number(validityDuration) * 1000;
  const { chain, notAfter } = await authority.signWorkload(csr, id, ttl);
  log.info("renewed", {
    identity: formatServiceAccount(id),
    remote: call.getPeer(),
    notAfter: notAfter.toISOString(),
  });
  return create(IstioCertificateResponseSchema, { certChain: chain });
}

/** The status with which a call ends. Callers here have an identity or none: both learn what they can act on. */
function refusalOf(error: unknown): Pick<ServiceError, "code" | "details"> {
  const reason = error instanceof Error ? error.message : String(error);
  if (error instanceof PeerIdentityError) {
    log.warn("renewal refused", { reason });
    return { code: error.code, details: error.details };
  }
  if (error instanceof SigningRequestError || (error instanceof AuthorityError && error.code === "bad_lifetime")) {
    log.warn("renewal refused", { reason });
    return { code: status.INVALID_ARGUMENT, details: `${reason}; ${error.hint}` };
  }
  log.error("renewal failed", { reason });
  return { code: status.INTERNAL, details: "the control plane cannot sign now; its log says why" };
}
