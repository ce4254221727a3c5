/** Joining a mesh: a token goes in, certificates come out. Nobody unverified is spoken to. */
import { setTimeout as delay } from "node:timers/promises";
import { type JoinToken, readToken } from "../../ca/admission/join_token.ts";
import { parseServiceAccount } from "../../ca/spiffe/spiffe_id.ts";
import { createCertificateSigningRequest } from "../../ca/x509/signing_request.ts";
import { logger } from "../../log/log.ts";
import { BackOff } from "../discovery/back_off.ts";
import { reasonOf } from "../discovery/reason.ts";
import { AgentStartError } from "./agent_start_error.ts";
import { withoutRoots } from "./certificate_chain.ts";
import { describeIdentity, type MeshFacts, type StoredIdentity } from "./identity_store.ts";

const log = logger("identity");
/** An agent may be started a moment before its control plane. */
const reachableWithin = 120_000;
const requestTimeout = 20_000;

export interface Joined {
  mesh: MeshFacts;
  /** By `NAMESPACE/SERVICE-ACCOUNT`. */
  identities: Map<string, StoredIdentity>;
}

/**
 * Asks for a certificate for each of `identities` (`NAMESPACE/SERVICE-ACCOUNT`) at the addresses that the token names,
 * for two minutes if need be, or until `signal`.
 *
 * @throws {AgentStartError} when the token is no good, does not allow an identity, or nobody can be reached
 */
export async function joinMesh(token: string, identities: string[], signal: AbortSignal): Promise<Joined> {
  const read = readJoinToken(token);
  const requests = await Promise.all(identities.map(async (identity) => {
    const id = parseServiceAccount(identity, read.trustDomain);
    return { identity, ...await createCertificateSigningRequest(id) };
  }));
  const body = JSON.stringify({
    token: token.trim(),
    requests: requests.map(({ identity, csrPem }) => ({ identity, csr: csrPem })),
  });
  const answer = await ask(read, body, signal);
  const joined = new Map<string, StoredIdentity>();
  for (const { identity, privateKeyPem } of requests) {
    const certificate = answer.certificates.find((one) => one.identity === identity);
    if (certificate === undefined) {
      throw new AgentStartError(
        `the control plane gave no certificate for ${identity}`,
        "look at its log for the reason",
      );
    }
    const chain = withoutRoots(certificate.chain.join("\n"), answer.trustBundle);
    joined.set(identity, describeIdentity(chain, privateKeyPem));
  }
  const { trustDomain, trustBundle, controlPlane } = answer;
  return { mesh: { trustDomain, trustBundle, controlPlane }, identities: joined };
}

interface JoinAnswer extends MeshFacts {
  /** `chain` is PEM, certificate by certificate: the leaf first, the root last. */
  certificates: { identity: string; chain: string[] }[];
}

function readJoinToken(token: string): JoinToken {
  try {
    return readToken(token);
  } catch (cause) {
    throw new AgentStartError(
      reasonOf(cause),
      "give the whole text that this prints: skiff token create --service-account NAMESPACE/NAME",
      { cause },
    );
  }
}

async function ask(token: JoinToken, body: string, signal: AbortSignal): Promise<JoinAnswer> {
  const client = Deno.createHttpClient({ caCerts: [token.rootCertificate] });
  const backOff = new BackOff(200, 5_000);
  const deadline = performance.now() + reachableWithin;
  try {
    for (let attempt = 0;; attempt++) {
      const address = token.joinAddresses[attempt % token.joinAddresses.length];
      try {
        return await post(client, address, body, signal);
      } catch (error) {
        if (error instanceof AgentStartError || signal.aborted) throw error;
        if (performance.now() > deadline) {
          throw new AgentStartError(
            `cannot join at ${address}: ${reasonOf(error)}`,
            "check that the control plane runs and that this machine can reach that address",
            { cause: error },
          );
        }
        const wait = backOff.next();
        log.warn("cannot join yet", { address, reason: reasonOf(error), inMs: Math.round(wait) });
        await delay(wait, undefined, { signal });
      }
    }
  } finally {
    client.close();
  }
}

async function post(client: Deno.HttpClient, address: string, body: string, signal: AbortSignal): Promise<JoinAnswer> {
  const response = await fetch(`https://${address}/v1/join`, {
    method: "POST",
    client,
    headers: { "content-type": "application/json" },
    body,
    redirect: "error",
    signal: AbortSignal.any([signal, AbortSignal.timeout(requestTimeout)]),
  });
  if (response.status >= 500 || response.status === 429) {
    throw new Error(`HTTP status ${response.status}: ${(await response.text()).slice(0, 500)}`);
  }
  if (!response.ok) throw refusal(response.status, await response.text());
  const answer = await response.json();
  if (!isJoinAnswer(answer)) throw new Error("the answer lacks certificates or trust bundle");
  return answer;
}

function refusal(status: number, text: string): AgentStartError {
  let message = text.slice(0, 500);
  let hint = "make a new token with: skiff token create --service-account NAMESPACE/NAME";
  try {
    const parsed = JSON.parse(text);
    const told = typeof parsed.error === "object" && parsed.error !== null ? parsed.error : parsed;
    const said = told.message ?? told.error;
    if (typeof said === "string") message = said;
    if (typeof told.hint === "string") hint = told.hint;
  } catch {
    // Not JSON: the text says what it says.
  }
  return new AgentStartError(`the control plane refused the join (${status}): ${message}`, hint);
}

function isJoinAnswer(value: unknown): value is JoinAnswer {
  const answer = value as Partial<JoinAnswer> | null;
  return typeof answer?.trustDomain === "string" && typeof answer.trustBundle === "string" &&
    Array.isArray(answer.controlPlane) && Array.isArray(answer.certificates) &&
    answer.certificates.every((one) => typeof one?.identity === "string" && Array.isArray(one.chain));
}
