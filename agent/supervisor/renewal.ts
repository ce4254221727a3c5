/** Renewing a certificate over mutual TLS with the one in hand (Istio's `IstioCertificateService`). */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { parseSpiffeId } from "../../ca/spiffe/spiffe_id.ts";
import { readCertificate } from "../../ca/x509/certificate.ts";
import { createCertificateSigningRequest } from "../../ca/x509/signing_request.ts";
import {
  IstioCertificateRequestSchema,
  IstioCertificateResponseSchema,
} from "../../routing/xds/gen/istio/v1/auth/ca_pb.ts";
import { mutualTlsClient, type TlsIdentity } from "../discovery/ads_stream.ts";
import { callUnary } from "../discovery/grpc_unary.ts";
import { certificatesOf } from "./certificate_chain.ts";
import { describeIdentity, type StoredIdentity } from "./identity_store.ts";

const createCertificate = "/istio.v1.auth.IstioCertificateService/CreateCertificate";
const longestCall = 20_000;
const shortestCall = 500;
const shortestRetry = 200;

/** A new certificate for a new key, and the root that signed it (PEM). */
export interface Renewed {
  identity: StoredIdentity;
  root: string;
}

/**
 * When to renew a certificate that was obtained at `begin` and ends at `end`: at half that time, spread by ±10 % of it
 * so that agents do not come in step. Unix milliseconds. Its `notBefore` says nothing: authorities set it back for
 * clocks that are behind.
 */
export function renewalTime(begin: number, end: number, random: number): number {
  return begin + (end - begin) * (0.5 + 0.1 * (2 * random - 1));
}

/** Milliseconds for one call when the certificate is good for another `left`: several tries must fit into that. */
export function renewalTimeout(left: number): number {
  return Math.max(shortestCall, Math.min(longestCall, left / 4));
}

/** Milliseconds until the next try where the back-off says `delay` and the certificate is good for another `left`. */
export function renewalRetry(delay: number, left: number): number {
  return Math.min(delay, Math.max(shortestRetry, left / 6));
}

/** Asks the control plane at `address` (`host:port`). Throws `GrpcCallError` and what fetch throws. */
export async function renewCertificate(
  address: string,
  uri: string,
  current: TlsIdentity,
  timeout = longestCall,
): Promise<Renewed> {
  const { csrPem, privateKeyPem } = await createCertificateSigningRequest(parseSpiffeId(uri));
  const client = mutualTlsClient(current);
  try {
    const request = toBinary(
      IstioCertificateRequestSchema,
      create(IstioCertificateRequestSchema, { csr: csrPem }),
    );
    const answer = await callUnary(
      client,
      `https://${address}`,
      createCertificate,
      request,
      AbortSignal.timeout(timeout),
    );
    const certificates = fromBinary(IstioCertificateResponseSchema, answer).certChain.flatMap(certificatesOf);
    if (certificates.length < 2) throw new Error(`${certificates.length} certificates in the answer; a chain has two`);
    const root = certificates.pop()!;
    const identity = describeIdentity(certificates.join(""), privateKeyPem);
    const { trustDomain, namespace, serviceAccount } = readCertificate(identity.certificateChain).spiffeId;
    if (`spiffe://${trustDomain}/ns/${namespace}/sa/${serviceAccount}` !== uri) {
      throw new Error(`the certificate is not for ${uri}`);
    }
    return { identity, root };
  } finally {
    client.close();
  }
}
