/** Certificates and trust bundles that stand in a resource, or in files that it names: secrets with names of their own. */
import { createHash } from "node:crypto";
import type { DataSource } from "../../../routing/xds/gen/envoy/config/core/v3/base_pb.ts";
import type { TlsCertificate } from "../../../routing/xds/gen/envoy/extensions/transport_sockets/tls/v3/common_pb.ts";
import { checkSecret } from "../check_secret.ts";
import type { SecretConfig } from "../model.ts";
import {
  bundleFileName,
  certificateFilesName,
  inlineName,
  parseSecretName,
  revocationFileName,
} from "../secret_names.ts";
import type { Place } from "./unsupported.ts";
import { inlineText } from "./values.ts";

/** The name of a certificate with its key; what stands in the resource is added to `secrets`. */
export function certificateSecret(message: TlsCertificate, place: Place, secrets: SecretConfig[]): string {
  const { certificateChain, privateKey } = message;
  const chainPlace = place.field("certificate_chain");
  const keyPlace = place.field("private_key");
  const chainFile = fileName(certificateChain);
  const keyFile = fileName(privateKey);
  if (chainFile !== null && keyFile !== null) {
    return fileSecret(certificateFilesName(chainFile, keyFile), place);
  }
  chainPlace.require(chainFile === null, "want it inline, as the private key is");
  keyPlace.require(keyFile === null, "want it inline, as the certificate chain is");
  const parts = { certificateChain: pem(certificateChain, chainPlace), privateKey: pem(privateKey, keyPlace) };
  return inlineSecret({ ...parts, trustBundle: "" }, place, secrets);
}

/** The name of a trust bundle, likewise. */
export function bundleSecret(source: DataSource | undefined, place: Place, secrets: SecretConfig[]): string {
  const file = fileName(source);
  if (file !== null) return fileSecret(bundleFileName(file), place);
  return inlineSecret({ certificateChain: "", privateKey: "", trustBundle: pem(source, place) }, place, secrets);
}

/** The name of revocation lists, likewise. */
export function revocationSecret(source: DataSource | undefined, place: Place, secrets: SecretConfig[]): string {
  const file = fileName(source);
  if (file !== null) return fileSecret(revocationFileName(file), place);
  const nothing = { certificateChain: "", privateKey: "", trustBundle: "" };
  return inlineSecret({ ...nothing, crl: pem(source, place) }, place, secrets);
}

function fileName(source: DataSource | undefined): string | null {
  return source?.specifier.case === "filename" ? source.specifier.value : null;
}

function fileSecret(name: string, place: Place): string {
  place.require(parseSecretName(name) !== null, "want absolute paths without ~");
  return name;
}

function inlineSecret(content: Omit<SecretConfig, "name">, place: Place, secrets: SecretConfig[]): string {
  const name = inlineName(createHash("sha256").update(JSON.stringify(content)).digest("hex"));
  const secret = { ...content, name };
  try {
    checkSecret(secret);
  } catch (error) {
    place.refuse(error instanceof Error ? error.message : String(error));
  }
  if (!secrets.some((other) => other.name === name)) secrets.push(secret);
  return name;
}

function pem(source: DataSource | undefined, place: Place): string {
  const text = inlineText(source, place);
  if (!text) place.refuse("want PEM");
  return text;
}
