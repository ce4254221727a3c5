/** Workload identities from a certificate authority of the test's own. */
import { Authority } from "../../ca/authority/authority.ts";
import { formatSpiffeId } from "../../ca/spiffe/spiffe_id.ts";
import { createCertificateSigningRequest } from "../../ca/x509/signing_request.ts";
import type { TestProxy } from "./harness.ts";

export interface Identity {
  principal: string;
  certificateChain: string;
  privateKey: string;
}

/** An authority with its state in a directory that goes with it. */
export class TestAuthority implements AsyncDisposable {
  private constructor(readonly authority: Authority, private readonly dataDir: string) {}

  static async open(): Promise<TestAuthority> {
    const dataDir = await Deno.makeTempDir();
    return new TestAuthority(await Authority.open({ dataDir, trustDomain: "cluster.local" }), dataDir);
  }

  get trustBundle(): string {
    return this.authority.trustBundle();
  }

  async identity(serviceAccount: string): Promise<Identity> {
    const id = { trustDomain: "cluster.local", namespace: "default", serviceAccount };
    const { csrPem, privateKeyPem } = await createCertificateSigningRequest(id);
    const { chain } = await this.authority.signWorkload(csrPem, id);
    return { principal: formatSpiffeId(id), certificateChain: chain.join("\n"), privateKey: privateKeyPem };
  }

  /** Gives a proxy its certificate (`default`) and the trust bundle (`ROOTCA`). */
  async setSecrets(proxy: TestProxy, name: string, own: Identity): Promise<void> {
    const { certificateChain, privateKey } = own;
    const certificate = { name: "default", certificateChain, privateKey, trustBundle: "" };
    await proxy.threads.apply({ kind: "secret", proxy: name, secret: certificate });
    const bundle = { name: "ROOTCA", certificateChain: "", privateKey: "", trustBundle: this.trustBundle };
    await proxy.threads.apply({ kind: "secret", proxy: name, secret: bundle });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.dataDir, { recursive: true });
  }
}
