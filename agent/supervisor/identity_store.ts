/** The workloads' keys and certificates on disk: one PEM file per identity, so that key and certificate always match. */
import { join } from "node:path";
import { readCertificate } from "../../ca/x509/certificate.ts";
import { decodePem, encodePem } from "../../ca/x509/pem.ts";
import { logger } from "../../log/log.ts";
import { readFileIfThere, writeFileAtomically } from "./atomic_file.ts";
import { certificatesOf } from "./certificate_chain.ts";

const log = logger("identity");

/** A workload's certificate with its key. */
export interface StoredIdentity {
  /** PEM, leaf first. */
  certificateChain: string;
  /** PEM. */
  privateKey: string;
  notBefore: Date;
  notAfter: Date;
  /** Lower-case hexadecimal. */
  serialNumber: string;
}

/** What joining told of the mesh. */
export interface MeshFacts {
  trustDomain: string;
  /** PEM. */
  trustBundle: string;
  /** `host:port` each. */
  controlPlane: string[];
}

export class IdentityStore {
  constructor(readonly folder: string) {}

  async readMesh(): Promise<MeshFacts | null> {
    const text = await readFileIfThere(this.#meshFile);
    if (text === null) return null;
    try {
      const { trustDomain, trustBundle, controlPlane } = JSON.parse(text);
      if (typeof trustDomain === "string" && typeof trustBundle === "string" && Array.isArray(controlPlane)) {
        return { trustDomain, trustBundle, controlPlane: controlPlane.map(String) };
      }
    } catch {
      // The same answer as for a file that lacks something.
    }
    log.warn("a damaged file is ignored", { file: this.#meshFile });
    return null;
  }

  async writeMesh(facts: MeshFacts): Promise<void> {
    await writeFileAtomically(this.#meshFile, JSON.stringify(facts, null, 2) + "\n");
  }

  /** The identity's (`NAMESPACE/SERVICE-ACCOUNT`) key and certificate; `null` when there are none that can be read. */
  async read(identity: string): Promise<StoredIdentity | null> {
    const text = await readFileIfThere(this.#file(identity));
    if (text === null) return null;
    try {
      const stored = describeIdentity(certificatesOf(text).join(""), privateKeyOf(text));
      const { namespace, serviceAccount } = readCertificate(stored.certificateChain).spiffeId;
      if (`${namespace}/${serviceAccount}` === identity) return stored;
      log.warn("a certificate of another identity is ignored", { file: this.#file(identity) });
    } catch (error) {
      log.warn("a damaged file is ignored", { file: this.#file(identity), reason: String(error) });
    }
    return null;
  }

  async write(identity: string, stored: StoredIdentity): Promise<void> {
    await writeFileAtomically(this.#file(identity), stored.privateKey + stored.certificateChain);
  }

  get #meshFile(): string {
    return join(this.folder, "mesh.json");
  }

  /** Names of namespaces and service accounts have no character that means something in a path. */
  #file(identity: string): string {
    return join(this.folder, "identities", `${identity}.pem`);
  }
}

/** Adds what the leaf says of itself. Throws `CertificateError`. */
export function describeIdentity(certificateChain: string, privateKey: string): StoredIdentity {
  const { notBefore, notAfter, serialNumber } = readCertificate(certificateChain);
  return { certificateChain, privateKey, notBefore, notAfter, serialNumber };
}

function privateKeyOf(text: string): string {
  const [key] = decodePem(text, "PRIVATE KEY");
  if (key === undefined) throw new Error("no private key found");
  return encodePem(key, "PRIVATE KEY");
}
