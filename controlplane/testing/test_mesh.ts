/** A real control plane in a directory of its own, and certificates for those who speak to it. */
import { join } from "node:path";
import { Authority } from "../../ca/authority/authority.ts";
import { parseServiceAccount } from "../../ca/spiffe/spiffe_id.ts";
import { createCertificateSigningRequest } from "../../ca/x509/signing_request.ts";
import { type ControlPlane, type ControlPlaneOptions, startControlPlane } from "../control_plane.ts";
import type { ClientIdentity } from "./ads_client.ts";

const loopback = { host: "127.0.0.1", port: 0 };

export class TestMesh {
  readonly #place: string;
  readonly #started = new Set<ControlPlane>();

  private constructor(place: string) {
    this.#place = place;
  }

  /** Runs a test with a mesh, and removes all of it afterwards. */
  static async with(run: (mesh: TestMesh) => Promise<void>): Promise<void> {
    const place = await Deno.makeTempDir({ prefix: "skiff-controlplane-" });
    const mesh = new TestMesh(place);
    try {
      await Deno.mkdir(mesh.configDir);
      await run(mesh);
    } finally {
      for (const controlPlane of mesh.#started) await controlPlane.stop();
      await Deno.remove(place, { recursive: true });
    }
  }

  get configDir(): string {
    return join(this.#place, "config");
  }

  get dataDir(): string {
    return join(this.#place, "data");
  }

  async start(options: Partial<ControlPlaneOptions> = {}): Promise<ControlPlane> {
    const controlPlane = await startControlPlane({
      configDir: this.configDir,
      dataDir: this.dataDir,
      xdsListen: loopback,
      joinListen: loopback,
      httpListen: loopback,
      advertise: ["127.0.0.1", "localhost"],
      store: "sqlite",
      ...options,
    });
    this.#started.add(controlPlane);
    return controlPlane;
  }

  async stop(controlPlane: ControlPlane): Promise<void> {
    this.#started.delete(controlPlane);
    await controlPlane.stop();
  }

  write(file: string, text: string): Promise<void> {
    return Deno.writeTextFile(join(this.configDir, file), text);
  }

  /** @param account `NAMESPACE/SERVICE-ACCOUNT`; @param ttl milliseconds */
  async identity(account = "default/bookinfo-reviews", ttl = 3_600_000): Promise<ClientIdentity> {
    const authority = await Authority.open({ dataDir: this.dataDir, trustDomain: "cluster.local" });
    const id = parseServiceAccount(account, "cluster.local");
    const { csrPem, privateKeyPem } = await createCertificateSigningRequest(id);
    const { chain } = await authority.signWorkload(csrPem, id, ttl);
    return { chain: chain.join(""), privateKey: privateKeyPem, trustBundle: authority.trustBundle() };
  }
}

/** Waits until something holds; fails after a time that is long beyond doubt. */
export async function until(holds: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!await holds()) {
    if (performance.now() > deadline) throw new Error(`waited in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
