/** Workload identities from a certificate authority of the test's own. */
import { Authority } from "../../ca/authority/authority.ts";
import type { TestProxy } from "./harness.ts";
import { type Identity, identity, setSecrets } from "./mesh.ts";

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

  identity(serviceAccount: string): Promise<Identity> {
    return identity(this.authority, serviceAccount);
  }

  /** Gives a proxy its certificate (`default`) and the trust bundle (`ROOTCA`). */
  setSecrets(proxy: TestProxy, name: string, own: Identity): Promise<void> {
    return setSecrets(proxy, name, own, this.trustBundle);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.dataDir, { recursive: true });
  }
}
