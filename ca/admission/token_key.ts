/** The key that signs join tokens: `<dataDir>/ca/token-key.pem`, apart from the root so that it signs nothing else. */
import { join } from "node:path";
import { authorityDirectory } from "../authority/root_store.ts";
import { createPrivateFile, ensurePrivateDirectory, removeStaged, tighten } from "../authority/private_files.ts";
import { AuthorityError } from "../authority/authority_error.ts";
import { decodePem } from "../x509/pem.ts";
import { keyAlgorithm, privateKeyToPem } from "../x509/signing_request.ts";

export interface TokenKey {
  privateKey: CryptoKey;
  publicKey: CryptoKey;
}

/**
 * The token key in `dataDir`, made on first use.
 *
 * @throws {AuthorityError} `token_key_damaged`
 */
export async function openTokenKey(dataDir: string): Promise<TokenKey> {
  const directory = authorityDirectory(dataDir);
  const path = join(directory, "token-key.pem");
  await ensurePrivateDirectory(directory);
  let pem = await readIfThere(path);
  if (pem === undefined) {
    const made = await crypto.subtle.generateKey(keyAlgorithm, true, ["sign", "verify"]);
    await createPrivateFile(path, await privateKeyToPem(made.privateKey));
    pem = await Deno.readTextFile(path);
  }
  await removeStaged(directory, (name) => name.startsWith("token-key.pem.new-"));
  await tighten(path, 0o600);
  return await read(pem, path);
}

async function read(pem: string, path: string): Promise<TokenKey> {
  try {
    const [der] = decodePem(pem, "PRIVATE KEY");
    const extractable = await crypto.subtle.importKey("pkcs8", der, keyAlgorithm, true, ["sign"]);
    const { kty, crv, x, y } = await crypto.subtle.exportKey("jwk", extractable);
    return {
      privateKey: await crypto.subtle.importKey("pkcs8", der, keyAlgorithm, false, ["sign"]),
      publicKey: await crypto.subtle.importKey("jwk", { kty, crv, x, y }, keyAlgorithm, false, ["verify"]),
    };
  } catch (cause) {
    const hint = "restore it, or remove it: tokens made with it then admit no one";
    throw new AuthorityError("token_key_damaged", `no P-256 key can be read from ${path}`, hint, { cause });
  }
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
