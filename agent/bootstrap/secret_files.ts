/** A workload's certificate, key and trusted roots as files, for software that has no agent beside it. */
import { join } from "node:path";
import { SECRET_FILES } from "../../routing/compile/secrets.ts";
import { compileSecret } from "../../routing/compile/secrets.ts";
import { TRUST_BUNDLE, WORKLOAD_CERTIFICATE } from "../../routing/compile/transport_socket.ts";
import { toJson } from "@bufbuild/protobuf";
import { SecretSchema } from "../../routing/xds/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.ts";
import type { WorkloadNode } from "../../routing/xds/node.ts";
import type { TlsIdentity } from "../discovery/ads_stream.ts";
import { writeFileAtomically } from "../supervisor/atomic_file.ts";

export interface SecretPaths {
  /** PEM: the key, then the certificates, the leaf first. */
  identity: string;
  /** PEM. */
  trustBundle: string;
  /** SDS resources in JSON that name these files, for Envoy's connection to the control plane itself. */
  certificateSecret: string;
  trustSecret: string;
}

export function secretPaths(directory: string): SecretPaths {
  return {
    identity: join(directory, SECRET_FILES.identity),
    trustBundle: join(directory, SECRET_FILES.trustBundle),
    certificateSecret: join(directory, "certificate.sds.json"),
    trustSecret: join(directory, "trust.sds.json"),
  };
}

/** Each file is replaced as a whole, and key and certificate are one file, so that they always match. */
export async function writeIdentity(paths: SecretPaths, identity: TlsIdentity): Promise<void> {
  await writeFileAtomically(paths.trustBundle, identity.trustBundle);
  await writeFileAtomically(paths.identity, identity.privateKey + identity.certificateChain);
}

/** @param node with `software` of kind `envoy` */
export async function writeSecretResources(paths: SecretPaths, node: WorkloadNode): Promise<void> {
  const write = (path: string, name: string) => {
    const secret = toJson(SecretSchema, compileSecret(name, node)!) as Record<string, unknown>;
    const resource = { "@type": `type.googleapis.com/${SecretSchema.typeName}`, ...secret };
    return writeFileAtomically(path, JSON.stringify({ resources: [resource] }, null, 2) + "\n");
  };
  await write(paths.certificateSecret, WORKLOAD_CERTIFICATE);
  await write(paths.trustSecret, TRUST_BUNDLE);
}
