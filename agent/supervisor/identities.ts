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
import { renewalRetry, renewalTime, renewalTimeout, renewCertificate } from "./renewal.ts";

const log = logger("identity");
/** `setTimeout` fires at once above 2^31 ms. */
const longestTimer = 24 * 3_600_000;
/** Milliseconds between two tries to join again, which the control plane may refuse. */
const rejoinInterval = 60_000;

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
  #token: string | undefined;
  #rejoining: Promise<void> | null = null;

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
    this.#token = token;
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
        tokenHint(missing),
      );
    }
    await this.#join(missing, token);
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

  async #join(names: string[], token: string): Promise<void> {
    const { mesh, identities } = await joinMesh(token, names, this.#stop.signal);
    this.#mesh = mesh;
    await this.#store.writeMesh(mesh);
    for (const [name, identity] of identities) {
      await this.#store.write(name, identity);
      this.#hold(name, identity, Date.now());
    }
    log.info("joined the mesh", { trustDomain: mesh.trustDomain, identities: names.join(",") });
  }

  /** A certificate that has ended cannot renew itself: only a token gets another. */
  async #rejoin(name: string): Promise<void> {
    // A token may be good for one join, so all that have ended go together.
    this.#rejoining ??= this.#rejoinAll().finally(() => this.#rejoining = null);
    await this.#rejoining;
    if (!this.#isValid(this.#held.get(name))) {
      this.#schedule(name, Date.now() + rejoinInterval, new BackOff(1000, 60_000));
    }
  }

  async #rejoinAll(): Promise<void> {
    const ended = [...this.#held].filter(([, identity]) => !this.#isValid(identity)).map(([name]) => name);
    if (ended.length === 0) return;
    let reason = "there is no token to join with";
    let hint = tokenHint(ended);
    try {
      if (this.#token !== undefined) {
        await this.#join(ended, this.#token);
        for (const listener of this.#listeners) listener();
        return;
      }
    } catch (error) {
      if (this.#stop.signal.aborted) return;
      reason = reasonOf(error);
      if (error instanceof AgentStartError) hint = error.hint;
    }
    log.error("certificates have expired and cannot be had again: peers refuse these workloads", {
      identities: ended.join(","),
      reason,
      hint,
    });
  }

  async #renew(name: string, backOff: BackOff): Promise<void> {
    const left = () => (this.#held.get(name)?.notAfter.getTime() ?? 0) - Date.now();
    if (left() <= 0) return await this.#rejoin(name);
    const addresses = this.controlPlanes;
    const address = addresses[Math.floor(Math.random() * addresses.length)];
    try {
      const { identity, root } = await renewCertificate(
        address,
        this.spiffeId(name),
        this.of(name),
        renewalTimeout(left()),
      );
      if (this.#stop.signal.aborted) return;
      await this.#store.write(name, identity);
      await this.#trust(root);
      this.#hold(name, identity, Date.now());
      log.info("certificate renewed", { identity: name, notAfter: identity.notAfter.toISOString() });
      for (const listener of this.#listeners) listener();
    } catch (error) {
      if (this.#stop.signal.aborted) return;
      const wait = renewalRetry(backOff.next(), left());
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

function tokenHint(names: string[]): string {
  const accounts = names.map((name) => `--service-account ${name}`).join(" ");
  return `give --token-file with what this prints: skiff token create ${accounts}`;
}
