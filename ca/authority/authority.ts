/** The mesh's certificate authority: signs workload and control plane certificates under one root. */
import { isIP } from "node:net";
import { X509Certificate } from "node:crypto";
import { checkTrustDomain, formatSpiffeId, type SpiffeId } from "../spiffe/spiffe_id.ts";
import { CertificateError, readCertificate } from "../x509/certificate.ts";
import { checkSigningRequest, keyAlgorithm, privateKeyToPem } from "../x509/signing_request.ts";
import { encodePem } from "../x509/pem.ts";
import * as x509 from "../x509/peculiar.ts";
import { AuthorityError } from "./authority_error.ts";
import { checkRootIsCurrent, clockSkew, type Root } from "./root.ts";
import { openRoot } from "./root_store.ts";
import { randomSerial } from "./serial.ts";

export interface AuthorityOptions {
  /** State of the control plane; the authority keeps to `ca/` in it. */
  dataDir: string;
  trustDomain: string;
  /** Longest life of a workload certificate in milliseconds; 24 h by default. */
  workloadTtl?: number;
  /** Milliseconds since the epoch. */
  now?: () => number;
}

export interface IssuedCertificate {
  /** PEM: the leaf first, the root last. */
  chain: string[];
  notAfter: Date;
}

export interface ServerCertificate extends IssuedCertificate {
  /** PKCS#8 in PEM. */
  privateKey: string;
}

/** A day: Istio's default for workload certificates. */
const defaultWorkloadTtl = 24 * 60 * 60 * 1000;
const dnsNameForm =
  /^(?=.{1,253}$)(\*\.)?([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/i;

export class Authority {
  readonly trustDomain: string;
  readonly #root: Root;
  readonly #rootForVerification: X509Certificate;
  readonly #rootPem: string;
  readonly #workloadTtl: number;
  readonly #now: () => number;

  private constructor(root: Root, options: Required<Omit<AuthorityOptions, "dataDir">>) {
    this.trustDomain = options.trustDomain;
    this.#root = root;
    this.#rootPem = encodePem(root.certificate.rawData, "CERTIFICATE");
    this.#rootForVerification = new X509Certificate(this.#rootPem);
    this.#workloadTtl = options.workloadTtl;
    this.#now = options.now;
  }

  /**
   * Opens the authority in a data directory; the first start makes its root.
   *
   * @throws {AuthorityError} when the root is damaged, incomplete, mismatched or expired
   * @throws {SpiffeIdError} when the trust domain cannot be one
   */
  static async open(options: AuthorityOptions): Promise<Authority> {
    checkTrustDomain(options.trustDomain);
    const { now = Date.now, workloadTtl = defaultWorkloadTtl, trustDomain } = options;
    checkLifetime(workloadTtl);
    return new Authority(await openRoot(options.dataDir, trustDomain, now()), { trustDomain, workloadTtl, now });
  }

  /** PEM of the certificates that every member of the mesh trusts. */
  trustBundle(): string {
    return this.#rootPem;
  }

  /**
   * Certifies the key of a signing request for `id`. That the requester may have this identity is the caller's to
   * decide.
   *
   * @param ttl milliseconds; capped at the configured lifetime and the root's end
   * @throws {SigningRequestError} for a request that is malformed, weak, or asks for other names
   * @throws {AuthorityError}
   */
  async signWorkload(csrPem: string, id: SpiffeId, ttl: number = this.#workloadTtl): Promise<IssuedCertificate> {
    if (id.trustDomain !== this.trustDomain) {
      throw new AuthorityError(
        "foreign_trust_domain",
        `${formatSpiffeId(id)} is not of the trust domain ${this.trustDomain}`,
        `ask for an identity of ${this.trustDomain}`,
      );
    }
    const request = await checkSigningRequest(csrPem, id);
    const names: x509.JsonGeneralNames = [{ type: "url", value: formatSpiffeId(id) }];
    return await this.#issue(request.publicKey, names, Math.min(ttl, this.#workloadTtl));
  }

  /**
   * A certificate and key for the control plane's own listeners.
   *
   * @param names DNS names and IP addresses under which agents reach it
   * @param ttl milliseconds; capped at the root's end
   * @param namespace of the control plane's own identity
   * @throws {AuthorityError}
   */
  async issueServerCertificate(names: string[], ttl: number, namespace = "istio-system"): Promise<ServerCertificate> {
    const id = { trustDomain: this.trustDomain, namespace, serviceAccount: "skiff-controlplane" };
    const keys = await crypto.subtle.generateKey(keyAlgorithm, true, ["sign", "verify"]);
    const sans: x509.JsonGeneralNames = [{ type: "url", value: formatSpiffeId(id) }, ...names.map(serverName)];
    const issued = await this.#issue(keys.publicKey, sans, ttl);
    return { ...issued, privateKey: await privateKeyToPem(keys.privateKey) };
  }

  /**
   * The identity of a peer by its certificate, which must be ours, of our trust domain, and valid now. TLS has seen to
   * the peer holding its key; a connection may outlive the certificate, so this is asked again for each call.
   *
   * @param der certificate
   * @throws {CertificateError}
   */
  verifyPeer(der: Uint8Array): SpiffeId {
    const facts = readCertificate(der);
    if (!isSignedBy(der, this.#rootForVerification)) {
      throw new CertificateError("the certificate is not issued by this mesh's authority");
    }
    const now = this.#now();
    if (now < facts.notBefore.getTime()) {
      throw new CertificateError(`the certificate is not valid before ${facts.notBefore.toISOString()}`);
    }
    if (now > facts.notAfter.getTime()) {
      throw new CertificateError(`the certificate expired at ${facts.notAfter.toISOString()}`);
    }
    if (facts.spiffeId.trustDomain !== this.trustDomain) {
      throw new CertificateError(`the certificate is of the trust domain ${facts.spiffeId.trustDomain}`);
    }
    return facts.spiffeId;
  }

  async #issue(
    publicKey: x509.PublicKey | CryptoKey,
    names: x509.JsonGeneralNames,
    ttl: number,
  ): Promise<IssuedCertificate> {
    checkLifetime(ttl);
    const now = this.#now();
    const root = this.#root.certificate;
    checkRootIsCurrent(root, now);
    // Certificates count whole seconds; rounding down keeps the promise of the cap.
    const end = Math.floor((now + ttl) / 1000) * 1000;
    const notAfter = new Date(Math.min(end, root.notAfter.getTime()));
    const leaf = await x509.X509CertificateGenerator.create({
      subject: "",
      issuer: root.subjectName,
      publicKey,
      signingKey: this.#root.privateKey,
      signingAlgorithm: keyAlgorithm,
      serialNumber: randomSerial(),
      notBefore: new Date(now - clockSkew),
      notAfter,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth]),
        // The subject is empty: RFC 5280 §4.2.1.6 then wants the names critical.
        new x509.SubjectAlternativeNameExtension(names, true),
        await x509.SubjectKeyIdentifierExtension.create(publicKey),
        await x509.AuthorityKeyIdentifierExtension.create(root.publicKey),
      ],
    });
    return { chain: [encodePem(leaf.rawData, "CERTIFICATE"), this.#rootPem], notAfter };
  }
}

function serverName(name: string): x509.JsonGeneralName {
  // A zone such as fe80::1%eth0 means something on one host only.
  if (isIP(name) !== 0 && !name.includes("%")) return { type: "ip", value: name };
  if (dnsNameForm.test(name)) return { type: "dns", value: name };
  throw new AuthorityError(
    "bad_name",
    `${JSON.stringify(name.slice(0, 300))} is neither a DNS name nor an IP address`,
    "give names and addresses without port, such as mesh.example.com or 192.0.2.1",
  );
}

function checkLifetime(ttl: number): void {
  if (Number.isFinite(ttl) && ttl >= 1000) return;
  throw new AuthorityError("bad_lifetime", `a certificate cannot live ${ttl} ms`, "ask for one second or more");
}

function isSignedBy(der: Uint8Array, root: X509Certificate): boolean {
  try {
    const certificate = new X509Certificate(der);
    return certificate.checkIssued(root) && certificate.verify(root.publicKey);
  } catch {
    return false;
  }
}
