/** SPIFFE identities of workloads, in Istio's form `spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/SERVICE-ACCOUNT`. */

export interface SpiffeId {
  trustDomain: string;
  namespace: string;
  serviceAccount: string;
}

/** The text is not an identity of the one form that this mesh issues. */
export class SpiffeIdError extends Error {
  override name = "SpiffeIdError";
}

// SPIFFE-ID §2.1 and §2.2 give the characters; the lengths of names are those of a DNS name, label and subdomain.
const trustDomainForm = /^[a-z0-9._-]{1,255}$/;
const segmentForm = /^[A-Za-z0-9._-]+$/;
const namespaceLimit = 63;
const serviceAccountLimit = 253;

/**
 * Reads an identity strictly: percent encodings, ports, user information, queries, fragments, empty or dot segments
 * and anything after the service account are refused, so that equal identities are equal strings.
 *
 * @throws {SpiffeIdError}
 */
export function parseSpiffeId(uri: string): SpiffeId {
  const parts = uri.split("/");
  const [scheme, empty, trustDomain, ns, namespace, sa, serviceAccount] = parts;
  if (parts.length !== 7 || scheme !== "spiffe:" || empty !== "" || ns !== "ns" || sa !== "sa") {
    throw refusal(uri, "it must be spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/SERVICE-ACCOUNT");
  }
  const id = { trustDomain, namespace, serviceAccount };
  checkParts(id, uri);
  return id;
}

/** @throws {SpiffeIdError} when a part could not be read back */
export function formatSpiffeId(id: SpiffeId): string {
  const uri = `spiffe://${id.trustDomain}/ns/${id.namespace}/sa/${id.serviceAccount}`;
  checkParts(id, uri);
  return uri;
}

/**
 * Reads `NAMESPACE/SERVICE-ACCOUNT`, the form in which operators and join requests name identities.
 *
 * @throws {SpiffeIdError}
 */
export function parseServiceAccount(text: string, trustDomain: string): SpiffeId {
  const parts = text.split("/");
  if (parts.length !== 2) throw refusal(text, "it must be NAMESPACE/SERVICE-ACCOUNT");
  const id = { trustDomain, namespace: parts[0], serviceAccount: parts[1] };
  checkParts(id, text);
  return id;
}

/** `NAMESPACE/SERVICE-ACCOUNT` of an identity. */
export function formatServiceAccount(id: SpiffeId): string {
  return `${id.namespace}/${id.serviceAccount}`;
}

/** @throws {SpiffeIdError} when the text cannot be a trust domain */
export function checkTrustDomain(text: string): void {
  if (!trustDomainForm.test(text)) {
    throw refusal(text, "a trust domain has 1 to 255 characters of a-z, 0-9, '.', '_' and '-'");
  }
}

function checkParts(id: SpiffeId, whole: string): void {
  checkTrustDomain(id.trustDomain);
  checkSegment("namespace", id.namespace, namespaceLimit, whole);
  checkSegment("service account", id.serviceAccount, serviceAccountLimit, whole);
}

function checkSegment(what: string, text: string, limit: number, whole: string): void {
  if (text.length > limit || !segmentForm.test(text) || text === "." || text === "..") {
    throw refusal(whole, `a ${what} has 1 to ${limit} characters of A-Z, a-z, 0-9, '.', '_' and '-'`);
  }
}

function refusal(text: string, rule: string): SpiffeIdError {
  return new SpiffeIdError(`not a workload identity: ${JSON.stringify(text.slice(0, 300))}: ${rule}`);
}
