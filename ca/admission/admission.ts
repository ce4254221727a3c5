/** Who may join the mesh: makes join tokens, and admits those who bring one, as often as it allows. */
import { ensurePrivateDirectory } from "../authority/private_files.ts";
import { authorityDirectory } from "../authority/root_store.ts";
import { formatServiceAccount, parseServiceAccount, type SpiffeId, SpiffeIdError } from "../spiffe/spiffe_id.ts";
import { checkSigningRequest } from "../x509/signing_request.ts";
import { AdmissionError } from "./admission_error.ts";
import { createToken, type TokenOptions, verifyToken } from "./join_token.ts";
import { openTokenKey, type TokenKey } from "./token_key.ts";
import { Uses } from "./uses.ts";

/** One certificate that a joining agent asks for. */
export interface JoinRequest {
  /** `NAMESPACE/SERVICE-ACCOUNT`. */
  identity: string;
  /** PKCS#10 in PEM. */
  csr: string;
}

/** A request whose identity its token allows. */
export interface AdmittedRequest {
  id: SpiffeId;
  csr: string;
}

export interface AdmissionOptions {
  dataDir: string;
  trustDomain: string;
  /** Milliseconds since the epoch. */
  now?: () => number;
}

export class Admission {
  readonly #trustDomain: string;
  readonly #key: TokenKey;
  readonly #uses: Uses;
  readonly #now: () => number;

  private constructor(options: Required<Omit<AdmissionOptions, "dataDir">>, key: TokenKey, uses: Uses) {
    this.#trustDomain = options.trustDomain;
    this.#now = options.now;
    this.#key = key;
    this.#uses = uses;
  }

  /**
   * Opens the admission of a data directory; the first start makes its token key.
   *
   * @throws {AuthorityError} `token_key_damaged`
   */
  static async open(options: AdmissionOptions): Promise<Admission> {
    await ensurePrivateDirectory(authorityDirectory(options.dataDir));
    const key = await openTokenKey(options.dataDir);
    const uses = await Uses.open(options.dataDir);
    return new Admission({ trustDomain: options.trustDomain, now: options.now ?? Date.now }, key, uses);
  }

  /**
   * Makes a join token for an operator to hand over.
   *
   * @throws {AdmissionError} `bad_request`
   * @throws {SpiffeIdError} for an identity that cannot be one
   */
  async createToken(options: TokenOptions): Promise<string> {
    return await createToken(options, this.#trustDomain, this.#key, this.#now());
  }

  /**
   * Admits the requests of one join call together, which is one use of the token; or none of them. The same requests
   * (by identity and public key) again, while the token lives, are no further use.
   *
   * @throws {AdmissionError}
   * @throws {SigningRequestError} before a use is counted
   */
  async admit(token: string, requests: JoinRequest[]): Promise<AdmittedRequest[]> {
    const verified = await verifyToken(token, this.#trustDomain, this.#key, this.#now());
    const admitted = requests.map(({ identity, csr }) => ({ id: this.#allowed(identity, verified.identities), csr }));
    if (admitted.length === 0 || new Set(requests.map(({ identity }) => identity)).size < requests.length) {
      const hint = "send one request for each identity";
      throw new AdmissionError("bad_request", "no identity is asked for, or one of them twice", hint);
    }
    const keys = await digestOf(admitted);
    if (!this.#uses.spend(verified, keys, this.#now())) {
      const uses = verified.uses === 1 ? "its one use" : `its ${verified.uses} uses`;
      throw new AdmissionError("used_up_token", `the join token has had ${uses}`, usedUpHint);
    }
    return admitted;
  }

  close(): void {
    this.#uses.close();
  }

  #allowed(identity: string, allowed: string[]): SpiffeId {
    if (allowed.includes(identity)) return parseServiceAccount(identity, this.#trustDomain);
    try {
      parseServiceAccount(identity, this.#trustDomain);
    } catch (cause) {
      if (!(cause instanceof SpiffeIdError)) throw cause;
      throw new AdmissionError("bad_request", cause.message, "write NAMESPACE/SERVICE-ACCOUNT", { cause });
    }
    throw new AdmissionError(
      "identity_not_allowed",
      `the join token is not for ${identity}`,
      `it is for ${allowed.join(", ")}; make one with: skiff token create --service-account ${identity}`,
    );
  }
}

const usedUpHint =
  "make a new one with: skiff token create --service-account NAMESPACE/NAME, or allow more with --uses N";

/** A digest of who joins with which keys, whatever the order of the requests. */
async function digestOf(requests: AdmittedRequest[]): Promise<string> {
  const entries = await Promise.all(
    requests.map(async ({ id, csr }) =>
      `${formatServiceAccount(id)} ${(await checkSigningRequest(csr, id)).keyFingerprint}\n`
    ),
  );
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(entries.sort().join("")));
  return new Uint8Array(digest).toHex();
}
