/** The wire of joining: JSON over HTTPS, `POST /v1/join`. */
import type { JoinRequest } from "../../ca/admission/admission.ts";
import { AdmissionError } from "../../ca/admission/admission_error.ts";

export interface JoinCall {
  token: string;
  requests: JoinRequest[];
}

/** The answer to a {@link JoinCall}. */
export interface JoinAnswer {
  certificates: JoinedCertificate[];
  /** PEM of what the mesh trusts. */
  trustBundle: string;
  /** `host:port` each: where the control plane serves ADS and renewals, over mutual TLS. */
  controlPlane: string[];
  trustDomain: string;
}

export interface JoinedCertificate {
  /** `NAMESPACE/SERVICE-ACCOUNT`. */
  identity: string;
  /** PEM: the leaf first, the root last. */
  chain: string[];
  /** RFC 3339. */
  notAfter: string;
}

/** One agent serves the workloads of one machine. */
const requestLimit = 64;

/** @throws {AdmissionError} `bad_request` */
export function readJoinCall(body: Uint8Array): JoinCall {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
  } catch (cause) {
    throw malformed("the body is not JSON", cause);
  }
  if (!isObject(json)) throw malformed("the body is not an object");
  const { token, requests } = json;
  if (typeof token !== "string") throw malformed("the field token is not a string");
  if (!Array.isArray(requests) || requests.length === 0 || requests.length > requestLimit) {
    throw malformed(`the field requests is not a list of 1 to ${requestLimit} requests`);
  }
  return { token, requests: requests.map(readRequest) };
}

function readRequest(request: unknown, index: number): JoinRequest {
  if (isObject(request) && typeof request.identity === "string" && typeof request.csr === "string") {
    return { identity: request.identity, csr: request.csr };
  }
  throw malformed(`requests[${index}] has no identity and csr`);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function malformed(message: string, cause?: unknown): AdmissionError {
  const hint = 'send {"token": "…", "requests": [{"identity": "NAMESPACE/SERVICE-ACCOUNT", "csr": "PEM"}]}';
  return new AdmissionError("bad_request", message, hint, { cause });
}
