/** Join tokens from a control plane's data directory. */
import { Admission } from "../ca/admission/admission.ts";
import { AdmissionError } from "../ca/admission/admission_error.ts";
import { Authority } from "../ca/authority/authority.ts";
import { readJoinFacts } from "./join_facts.ts";
import { UsageError } from "./usage_error.ts";

/** What the token is to say, apart from where to join. */
export interface TokenRequest {
  /** `NAMESPACE/NAME` each. */
  identities: string[];
  uses: number;
  /** Milliseconds. */
  ttl: number;
}

/**
 * Makes a token from a control plane's data directory, whether the control plane runs or not.
 * @throws {UsageError} when no control plane has started there.
 */
export async function makeToken(dataDir: string, request: TokenRequest): Promise<string> {
  const { trustDomain, joinAddresses, xdsAddresses } = readJoinFacts(dataDir);
  const authority = await Authority.open({ dataDir, trustDomain });
  const admission = await Admission.open({ dataDir, trustDomain });
  try {
    return await admission.createToken({
      ...request,
      joinAddresses,
      xdsAddresses,
      rootCertificate: authority.trustBundle(),
    });
  } catch (error) {
    if (error instanceof AdmissionError) throw new UsageError(`${error.message}; ${error.hint}`);
    throw error;
  } finally {
    admission.close();
  }
}
