/** Secrets that lie in files: read when configuration names them, and again whenever the files have changed. */
import { join } from "node:path";
import { logger } from "../../log/log.ts";
import type { SecretConfig } from "../config/model.ts";
import { parseSecretName } from "../config/secret_names.ts";
import { reasonOf } from "../discovery/reason.ts";
import { checkSecret } from "../config/check_secret.ts";

const log = logger("secrets");
/** How often files are looked at, milliseconds. Looking finds what watching misses: links replaced, folders made later. */
const lookInterval = 1000;

export interface SecretFilesOptions {
  /** Named in log lines. */
  workload: string;
  /** Folder of `NAME/{tls.crt,tls.key,ca.crt,ca.crl}`. */
  credentials: string;
  /** Takes a secret that has been read for the first time, or anew. */
  deliver(secret: SecretConfig): Promise<void>;
  lookInterval?: number;
}

/** One secret with what its files held when they were last looked at. */
interface Followed {
  files: SecretFiles;
  /** The texts that were delivered last; `null`: none yet. */
  delivered: string | null;
  /** What is wrong with the files, as the log has told; `null`: nothing. */
  complaint: string | null;
  /** What was wrong at the last look: a file may be replaced a moment before its companion. */
  suspicion: string | null;
}

/** Where the parts of a secret lie. An empty path: it has no such part. */
interface SecretFiles {
  certificate: string;
  key: string;
  bundles: string[];
  /** Of a bundle, where there is one. */
  crl: string;
}

export class SecretFilesReader {
  readonly #options: SecretFilesOptions;
  readonly #followed = new Map<string, Followed>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #looking: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(options: SecretFilesOptions) {
    this.#options = options;
  }

  /**
   * Follows the files of exactly these secrets (those of other kinds are left out). Resolves when those that are new
   * have been delivered or complained about.
   */
  async follow(names: ReadonlySet<string>): Promise<void> {
    for (const name of this.#followed.keys()) if (!names.has(name)) this.#followed.delete(name);
    const added: string[] = [];
    for (const name of names) {
      const files = this.#filesOf(name);
      if (files === null || this.#followed.has(name)) continue;
      this.#followed.set(name, { files, delivered: null, complaint: null, suspicion: null });
      added.push(name);
    }
    await Promise.all(added.map((name) => this.#look(name, true)));
    this.#schedule();
  }

  names(): Iterable<string> {
    return this.#followed.keys();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#looking;
  }

  #schedule(): void {
    if (this.#timer !== undefined || this.#stopped || this.#followed.size === 0) return;
    this.#timer = setTimeout(() => {
      this.#looking = this.#lookAtAll().then(() => {
        this.#timer = undefined;
        this.#schedule();
      });
    }, this.#options.lookInterval ?? lookInterval);
  }

  async #lookAtAll(): Promise<void> {
    for (const name of [...this.#followed.keys()]) await this.#look(name, false);
  }

  /** @param certain complain at the first look */
  async #look(name: string, certain: boolean): Promise<void> {
    const followed = this.#followed.get(name);
    if (followed === undefined) return;
    let problem: string;
    try {
      const secret = await readSecret(name, followed.files);
      const text = JSON.stringify(secret);
      if (text !== followed.delivered) {
        checkSecret(secret);
        await this.#options.deliver(secret);
        if (followed.delivered !== null || followed.complaint !== null) {
          log.info("secret taken over from its files", { workload: this.#options.workload, secret: name });
        }
        followed.delivered = text;
      }
      followed.complaint = followed.suspicion = null;
      return;
    } catch (error) {
      problem = reasonOf(error);
    }
    const isCertain = certain || followed.suspicion === problem;
    followed.suspicion = problem;
    if (!isCertain || followed.complaint === problem) return;
    followed.complaint = problem;
    log.error(`secret ${name}: ${problem}`, {
      workload: this.#options.workload,
      inForce: followed.delivered === null ? "none: what needs it is refused" : "the last good one",
    });
  }

  #filesOf(name: string): SecretFiles | null {
    const source = parseSecretName(name);
    const inFolder = (credential: string, file: string) => join(this.#options.credentials, credential, file);
    switch (source?.kind) {
      case "certificateFiles":
        return { certificate: source.certificate, key: source.key, bundles: [], crl: "" };
      case "bundleFile":
        return { certificate: "", key: "", bundles: [source.bundle], crl: "" };
      case "revocationFile":
        return { certificate: "", key: "", bundles: [], crl: source.lists };
      case "credential":
        return {
          certificate: inFolder(source.name, "tls.crt"),
          key: inFolder(source.name, "tls.key"),
          bundles: [],
          crl: "",
        };
      case "credentialBundle": {
        // Istio looks for the secret of this very name before the credential's own.
        const bundles = [inFolder(`${source.name}-cacert`, "ca.crt"), inFolder(source.name, "ca.crt")];
        return { certificate: "", key: "", bundles, crl: inFolder(source.name, "ca.crl") };
      }
      default:
        return null;
    }
  }
}

async function readSecret(name: string, files: SecretFiles): Promise<SecretConfig> {
  const secret: SecretConfig = { name, certificateChain: "", privateKey: "", trustBundle: "" };
  if (files.certificate !== "") {
    secret.certificateChain = await readPem(files.certificate);
    secret.privateKey = await readPem(files.key);
    return secret;
  }
  if (files.bundles.length === 0) return { ...secret, crl: await readPem(files.crl) };
  secret.trustBundle = await readFirst(files.bundles);
  const crl = files.crl === "" ? null : await readIfThere(files.crl);
  return crl === null ? secret : { ...secret, crl };
}

async function readFirst(paths: string[]): Promise<string> {
  for (const path of paths.slice(0, -1)) {
    const text = await readIfThere(path);
    if (text !== null) return text;
  }
  return await readPem(paths.at(-1)!);
}

async function readIfThere(path: string): Promise<string | null> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

async function readPem(path: string): Promise<string> {
  const text = await readIfThere(path);
  if (text === null) throw new Error(`there is no file ${path}; put it there as PEM`);
  return text;
}
