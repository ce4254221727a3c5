/**
 * Names of secrets, which are Istio's (istio.io/latest/docs/reference/config/networking/gateway, pkg/model/credentials
 * and security/pkg/nodeagent/cache there): the agent resolves all of them itself, so no key crosses the wire.
 */

/** Where the content of a secret comes from. */
export type SecretSource =
  /** `default` and `ROOTCA`: the workload's own certificate and the mesh's roots. */
  | { kind: "own" }
  /** `file-cert:CERTIFICATE~KEY`. */
  | { kind: "certificateFiles"; certificate: string; key: string }
  /** `file-root:BUNDLE`. */
  | { kind: "bundleFile"; bundle: string }
  /** `file-crl:LISTS`, skiff's own: revocation lists that xDS has beside a bundle. */
  | { kind: "revocationFile"; lists: string }
  /** `file-root:system`: no secret, but what this machine trusts. */
  | { kind: "system" }
  /** `kubernetes://NAME`: certificate and key of a credential. */
  | { kind: "credential"; name: string }
  /** `kubernetes://NAME-cacert`: its authorities for the certificates of peers. */
  | { kind: "credentialBundle"; name: string }
  /** Made by translation of a certificate or bundle that stands in a resource. */
  | { kind: "inline" };

/** Istio's name of the trust bundle that is no secret: the authorities that this machine trusts. */
export const systemTrustBundle = "file-root:system";
const certificateFiles = "file-cert:";
const bundleFile = "file-root:";
const revocationFile = "file-crl:";
const credential = "kubernetes://";
const bundleSuffix = "-cacert";
const inline = "inline:";

/** What the name says, or `null` for one that no secret can have. */
export function parseSecretName(name: string): SecretSource | null {
  if (name === "default" || name === "ROOTCA") return { kind: "own" };
  if (name === systemTrustBundle) return { kind: "system" };
  if (name.startsWith(inline)) return { kind: "inline" };
  if (name.startsWith(certificateFiles)) {
    const [certificate, key, ...more] = name.slice(certificateFiles.length).split("~");
    return isPath(certificate) && isPath(key) && more.length === 0
      ? { kind: "certificateFiles", certificate, key }
      : null;
  }
  if (name.startsWith(revocationFile)) {
    const lists = name.slice(revocationFile.length);
    return isPath(lists) ? { kind: "revocationFile", lists } : null;
  }
  if (name.startsWith(bundleFile)) {
    const bundle = name.slice(bundleFile.length);
    return isPath(bundle) ? { kind: "bundleFile", bundle } : null;
  }
  if (!name.startsWith(credential)) return null;
  const isBundle = name.endsWith(bundleSuffix);
  const called = name.slice(credential.length, isBundle ? -bundleSuffix.length : undefined);
  if (!isCredentialName(called)) return null;
  return { kind: isBundle ? "credentialBundle" : "credential", name: called };
}

/** What a name must be like, for messages. */
export const secretNameForms =
  "want default, ROOTCA, file-cert:CERTIFICATE~KEY, file-root:BUNDLE, kubernetes://NAME or kubernetes://NAME-cacert, " +
  "with absolute paths";

export function certificateFilesName(certificate: string, key: string): string {
  return `${certificateFiles}${certificate}~${key}`;
}

export function bundleFileName(bundle: string): string {
  return bundleFile + bundle;
}

export function revocationFileName(lists: string): string {
  return revocationFile + lists;
}

/** @param digest of the content, so that equal contents have one name */
export function inlineName(digest: string): string {
  return inline + digest;
}

function isPath(text: string | undefined): text is string {
  return text !== undefined && text.startsWith("/") && !text.includes("\0");
}

/** A name as Kubernetes has them, which is also a folder's name that leads nowhere else. */
function isCredentialName(name: string): boolean {
  return name.length <= 253 && /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(name) && !name.includes("..");
}
