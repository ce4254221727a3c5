/**
 * Secrets for a stock Envoy, which has no agent beside it: they name the files in which it finds them, so that no key
 * crosses the wire. Envoy reads the files anew when they are replaced.
 */
import { create } from "@bufbuild/protobuf";
import { type Secret, SecretSchema } from "../xds/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.ts";
import type { WorkloadNode } from "../xds/node.ts";
import { TRUST_BUNDLE, WORKLOAD_CERTIFICATE } from "./transport_socket.ts";

/** Files of an Envoy's secret directory; `skiff envoy-bootstrap` writes them. */
export const SECRET_FILES = Object.freeze({
  /** The key and the certificates in one, so that they always match. */
  identity: "identity.pem",
  trustBundle: "root-cert.pem",
});

/** Istio's names of gateways' secrets in files: `file-cert:CERTIFICATE~KEY`, `file-root:CERTIFICATES`. */
const FILE_CERTIFICATE = "file-cert:";
const FILE_ROOT = "file-root:";
/** `file-root:system`: what Debian's machines trust. */
const SYSTEM_ROOTS = "/etc/ssl/certs/ca-certificates.crt";
/** `kubernetes://NAME`, and `kubernetes://NAME-cacert` for roots: folders of credentials, as docs/secrets.md has them. */
const CREDENTIAL = "kubernetes://";
const ROOTS_SUFFIX = "-cacert";

/** The secret of this name; `undefined` for nodes that see to theirs themselves, and for names nobody knows. */
export function compileSecret(name: string, { software }: WorkloadNode): Secret | undefined {
  if (software?.kind !== "envoy") return undefined;
  const directory = software.secretDirectory;
  if (name === WORKLOAD_CERTIFICATE) {
    const file = `${directory}/${SECRET_FILES.identity}`;
    return certificate(name, file, file, directory);
  }
  if (name === TRUST_BUNDLE) return trusted(name, `${directory}/${SECRET_FILES.trustBundle}`, directory);
  if (name === `${FILE_ROOT}system`) return trusted(name, SYSTEM_ROOTS);
  if (name.startsWith(FILE_ROOT)) return trusted(name, name.slice(FILE_ROOT.length));
  if (name.startsWith(CREDENTIAL)) return credential(name, software.credentialDirectory);
  if (!name.startsWith(FILE_CERTIFICATE)) return undefined;
  const files = name.slice(FILE_CERTIFICATE.length).split("~");
  return files.length === 2 ? certificate(name, files[0], files[1]) : undefined;
}

function credential(name: string, directory: string): Secret | undefined {
  const folder = name.slice(CREDENTIAL.length);
  if (!/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/.test(folder)) return undefined;
  return folder.endsWith(ROOTS_SUFFIX)
    ? trusted(name, `${directory}/${folder}/ca.crt`)
    : certificate(name, `${directory}/${folder}/tls.crt`, `${directory}/${folder}/tls.key`);
}

function certificate(name: string, chain: string, key: string, watched?: string): Secret {
  return create(SecretSchema, {
    name,
    type: {
      case: "tlsCertificate",
      value: { certificateChain: inFile(chain), privateKey: inFile(key), watchedDirectory: directory(watched) },
    },
  });
}

function trusted(name: string, path: string, watched?: string): Secret {
  return create(SecretSchema, {
    name,
    type: { case: "validationContext", value: { trustedCa: inFile(path), watchedDirectory: directory(watched) } },
  });
}

function inFile(filename: string) {
  return { specifier: { case: "filename" as const, value: filename } };
}

/** Without one, Envoy watches the files' own directories. */
function directory(path: string | undefined) {
  return path === undefined ? undefined : { path };
}
