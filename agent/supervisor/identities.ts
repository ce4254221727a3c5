/** Every identity of this agent with its certificate, kept current for as long as the agent runs. */
import { formatSpiffeId, parseServiceAccount } from "../../ca/spiffe/spiffe_id.ts";
import { logger } from "../../log/log.ts";
import type { TlsIdentity } from "../discovery/ads_stream.ts";
import { BackOff } from "../discovery/back_off.ts";
import { reasonOf } from "../discovery/reason.ts";
import { AgentStartError } from "./agent_start_error.ts";
import { certificatesOf } from "./certificate_chain.ts";
import { IdentityStore, type MeshFacts, type StoredIdentity } from "./identity_store.ts";
import { joinMesh } from "./join.ts";
import { renewalTime, renewCertificate } from "./renewal.ts";

const log = logger("identity");
/** `setTimeout` fires at once above 2^31 ms. */
const longestTimer = 24 * 3_600_000;

export interface CertificateSummary {
  /** `NAMESPACE/SERVICE-ACCOUNT`. */
  identity: string;
  spiffeId: string;
  serialNumber: string;
  notBefore: Date;
  notAfter: Date;
}

export class Identities {
  readonly #store: IdentityStore;
  readonly #held = new Map<string, StoredIdentity>();
  readonly #timers = new Map<string, ReturnType<typeof setTimeout>>();
  readonly #listeners = new Set<() => void>();
  /** Control planes of the agent's file, which go before those that joining told. */
  #configured: string[] = [];
  #mesh: MeshFacts | null = null;
  readonly #stop = new AbortController();

  constructor(dataDir: string) {
    this.#store = new IdentityStore(dataDir);
  }

  /** Control planes named in the agent's file (`host:port`); empty: those that joining told. */
  useControlPlanes(addresses: string[]): void {
    this.#configured = addresses;
  }

  /**
   * Makes sure that each of `names` (`NAMESPACE/SERVICE-ACCOUNT`) has a certificate: from disk, else by joining with
   * the token.
   *
   * @throws {AgentStartError} when there is neither
   */
  async ensure(names: string[], token: string | undefined): Promise<void> {
    this.#mesh ??= await this.#store.readMesh();
    const missing: string[] = [];
    for (const name of new Set(names)) {
      if (!this.#isValid(this.#held.get(name))) {
        const stored = this.#mesh === null ? null : await this.#store.read(name);
        if (this.#isValid(stored)) this.#hold(name, stored, stored.notBefore.getTime());
        else missing.push(name);
      }
    }
    if (missing.length === 0) return;
    if (token === undefined) {
      throw new AgentStartError(
        `no valid certificate for ${missing.join(", ")} in ${this.#store.folder}, and no token to join with`,
        `give --token-file with what this prints: skiff token create ${
          missing.map((name) => `--service-account ${name}`).join(" ")
        }`,
      );
    }
    const joined = await joinMesh(token, missing, this.#stop.signal);
    this.#mesh = joined.mesh;
    await this.#store.writeMesh(joined.mesh);
    for (const [name, identity] of joined.identities) {
      await this.#store.write(name, identity);
      this.#hold(name, identity, Date.now());
    }
    log.info("joined the mesh", { trustDomain: joined.mesh.trustDomain, identities: missing.join(",") });
  }

  /** What a workload of this identity shows and trusts. Only for identities that {@link ensure} has seen to. */
  of(name: string): TlsIdentity {
    const held = this.#held.get(name);
    if (held === undefined) throw new Error(`no certificate for ${name}`);
    return {
      certificateChain: held.certificateChain,
      privateKey: held.privateKey,
      trustBundle: this.#facts.trustBundle,
    };
  }

  spiffeId(name: string): string {
    return formatSpiffeId(parseServiceAccount(name, this.#facts.trustDomain));
  }

  get controlPlanes(): string[] {
    return this.#configured.length > 0 ? this.#configured : this.#facts.controlPlane;
  }

  certificates(): CertificateSummary[] {
    return [...this.#held].map(([identity, { serialNumber, notBefore, notAfter }]) => ({
      identity,
      spiffeId: this.spiffeId(identity),
      serialNumber,
      notBefore,
      notAfter,
    }));
  }

  /** Calls `listener` after certificates or trust bundle have changed. */
  onChange(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /** Ends renewals, and a join that is under way. */
  stop(): void {
    this.#stop.abort();
    for (const timer of this.#timers.values()) clearTimeout(timer);
  }

  get #facts(): MeshFacts {
    if (this.#mesh === null) throw new Error("this agent has not joined a mesh");
    return this.#mesh;
  }

  #isValid(identity: StoredIdentity | null | undefined): identity is StoredIdentity {
    return identity !== null && identity !== undefined && identity.notAfter.getTime() > Date.now();
  }

  /** `obtained` is in Unix milliseconds. */
  #hold(name: string, identity: StoredIdentity, obtained: number): void {
    this.#held.set(name, identity);
    const at = renewalTime(obtained, identity.notAfter.getTime(), Math.random());
    this.#schedule(name, at, new BackOff(1000, 60_000));
  }

  #schedule(name: string, at: number, backOff: BackOff): void {
    clearTimeout(this.#timers.get(name));
    if (this.#stop.signal.aborted) return;
    const wait = Math.max(0, at - Date.now());
    this.#timers.set(
      name,
      wait > longestTimer
        ? setTimeout(() => this.#schedule(name, at, backOff), longestTimer)
        : setTimeout(() => this.#renew(name, backOff), wait),
    );
  }

  async #renew(name: string, backOff: BackOff): Promise<void> {
    const addresses = this.controlPlanes;
    const address = addresses[Math.floor(Math.random() * addresses.length)];
    try {
      const { identity, root } = await renewCertificate(address, this.spiffeId(name), this.of(name));
      if (this.#stop.signal.aborted) return;
      await this.#store.write(name, identity);
      await this.#trust(root);
      this.#hold(name, identity, Date.now());
      log.info("certificate renewed", { identity: name, notAfter: identity.notAfter.toISOString() });
      for (const listener of this.#listeners) listener();
    } catch (error) {
      if (this.#stop.signal.aborted) return;
      const wait = backOff.next();
      log.warn("certificate not renewed; trying again", {
        identity: name,
        controlPlane: address,
        reason: reasonOf(error),
        notAfter: this.#held.get(name)?.notAfter.toISOString(),
        inMs: Math.round(wait),
      });
      this.#schedule(name, Date.now() + wait, backOff);
    }
  }

  /** Adds a root that signs now; those that signed before stay, for peers that still show their certificates. */
  async #trust(root: string): Promise<void> {
    const known = certificatesOf(this.#facts.trustBundle);
    if (known.includes(root)) return;
    this.#mesh = { ...this.#facts, trustBundle: [...known, root].join("") };
    await this.#store.writeMesh(this.#mesh);
  }
}
