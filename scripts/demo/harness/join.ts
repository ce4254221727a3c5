import { readToken } from "../../../ca/admission/join_token.ts";
import { type CertificateFiles, openssl } from "./openssl.ts";

/**
 * Joins a workload without an agent, as the join port's contract has it: a key and a signing request by openssl, a
 * token, HTTPS that trusts nothing but the token's root.
 * @param identity `NAMESPACE/SERVICE-ACCOUNT`
 * @throws {Error} with the control plane's answer when it refuses.
 */
export async function joinByHand(directory: string, token: string, identity: string): Promise<CertificateFiles> {
  const name = `${directory}/${identity.replace("/", "-")}-${crypto.randomUUID()}`;
  const files = { chain: `${name}.pem`, key: `${name}-key.pem` };
  const [namespace, account] = identity.split("/");
  const csr = await openssl([
    ...["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/"],
    ...["-addext", `subjectAltName=critical,URI:spiffe://cluster.local/ns/${namespace}/sa/${account}`],
    ...["-keyout", files.key],
  ]);
  const { joinAddresses, rootCertificate } = readToken(token);
  using client = Deno.createHttpClient({ caCerts: [rootCertificate] });
  const response = await fetch(`https://${joinAddresses[0]}/v1/join`, {
    client,
    method: "POST",
    body: JSON.stringify({ token, requests: [{ identity, csr }] }),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(`the join port answers ${response.status}: ${answer.error}; ${answer.hint}`);
  Deno.writeTextFileSync(files.chain, answer.certificates[0].chain.join(""));
  return files;
}
