/** Resolves names to addresses as this machine would: its hosts file, then its DNS servers. */
import { Buffer } from "node:buffer";
// @ts-types="@types/dns-packet"
import { type Answer, decode, encode, type StringAnswer } from "dns-packet";
import { DnsError } from "./dns_error.ts";
import { exchange } from "./exchange.ts";
import { type NameServer, parseHosts, parseNameServers, SystemFile } from "./system_files.ts";

export type AddressType = "A" | "AAAA";

/** The addresses of a name; none where it is known to have none. */
export interface Resolution {
  addresses: string[];
  /** How long they hold, milliseconds; `null`: it is not said. */
  ttl: number | null;
}

export interface ResolverOptions {
  /** In the place of those of `/etc/resolv.conf`. */
  servers?: NameServer[];
  /** Whether the server is this agent itself, which must not ask itself; by default none is. */
  isOurs?(server: NameServer): boolean;
}

/** How long one server may take, and how often all of them are asked: resolv.conf's defaults, but faster. */
const attemptTimeout = 2000;
const rounds = 2;
/** Names that lead to other names, at the most: more is a loop. */
const longestChain = 16;
const mostAddresses = 256;
/** Questions in flight at the most. */
const mostQuestions = 64;
const noError = 0;
const noSuchName = 3;

export class Resolver {
  readonly #servers: () => Promise<NameServer[]>;
  readonly #hosts = new SystemFile("/etc/hosts", parseHosts);
  #asking = 0;
  readonly #queue: (() => void)[] = [];

  constructor({ servers, isOurs = () => false }: ResolverOptions = {}) {
    const file = new SystemFile("/etc/resolv.conf", parseNameServers);
    this.#servers = async () => (servers ?? await file.content()).filter((server) => !isOurs(server));
  }

  /** @throws {DnsError} when no server knows whether the name has such addresses */
  async resolve(name: string, type: AddressType): Promise<Resolution> {
    const known = (await this.#hosts.content()).get(name.toLowerCase().replace(/\.$/, ""));
    if (known !== undefined) {
      return { addresses: known.filter((address) => address.includes(":") === (type === "AAAA")), ttl: null };
    }
    await this.#turn();
    try {
      return await this.#ask(name, type);
    } finally {
      this.#asking--;
      this.#queue.shift()?.();
    }
  }

  /** Passes a query on as it is to one server after the other. @throws {DnsError} when none answers */
  async forward(query: Uint8Array): Promise<Uint8Array> {
    let failure: unknown = new DnsError("there is no DNS server to ask");
    for (const server of await this.#servers()) {
      try {
        return await exchange(server, query, AbortSignal.timeout(attemptTimeout));
      } catch (error) {
        failure = error;
      }
    }
    throw failure;
  }

  async #turn(): Promise<void> {
    while (this.#asking >= mostQuestions) await new Promise<void>((resolve) => this.#queue.push(resolve));
    this.#asking++;
  }

  async #ask(name: string, type: AddressType): Promise<Resolution> {
    let failure: unknown = new DnsError("there is no DNS server to ask");
    for (let round = 0; round < rounds; round++) {
      for (const server of await this.#servers()) {
        try {
          return await askServer(server, name, type);
        } catch (error) {
          failure = error;
        }
      }
    }
    throw failure;
  }
}

async function askServer(server: NameServer, name: string, type: AddressType): Promise<Resolution> {
  const query = encode({
    type: "query",
    id: crypto.getRandomValues(new Uint16Array(1))[0],
    flags: 0x0100, // recursion desired
    questions: [{ type, name }],
  });
  const bytes = await exchange(server, query, AbortSignal.timeout(attemptTimeout));
  try {
    return resolutionOf(bytes, name, type);
  } catch (cause) {
    if (cause instanceof DnsError) throw cause;
    throw new DnsError(`${server.address}: an answer that is none to ${name}`, { cause });
  }
}

/** What an answer says of the name. @throws {DnsError} when it says nothing */
export function resolutionOf(bytes: Uint8Array, name: string, type: AddressType): Resolution {
  const { flags = 0, questions = [], answers = [], authorities = [] } = decode(Buffer.from(bytes));
  const asked = canonical(name);
  if (questions.length !== 1 || canonical(questions[0].name) !== asked || questions[0].type !== type) {
    throw new DnsError(`the answer is not about ${name}`);
  }
  const code = flags & 0xf;
  if (code !== noError && code !== noSuchName) throw new DnsError(`${name}: the server answered with code ${code}`);
  const names = chainOf(asked, answers);
  const records = answers.filter(isAddress).filter((answer) =>
    answer.type === type && names.has(canonical(answer.name))
  );
  if (records.length === 0) return { addresses: [], ttl: shortest(authorities.filter(({ type }) => type === "SOA")) };
  const addresses = records.slice(0, mostAddresses).map(({ data }) => data);
  const onTheWay = answers.filter((answer) => answer.type === "CNAME" && names.has(canonical(answer.name)));
  return { addresses: [...new Set(addresses)], ttl: shortest([...records, ...onTheWay]) };
}

/** The name and those that it stands for by CNAME records. */
function chainOf(name: string, answers: Answer[]): Set<string> {
  const chain = new Set([name]);
  let last = name;
  while (chain.size <= longestChain) {
    const next = answers.filter(isAlias).find((answer) => canonical(answer.name) === last);
    if (next === undefined) return chain;
    last = canonical(next.data);
    if (chain.has(last)) return chain;
    chain.add(last);
  }
  throw new DnsError(`${name} leads to more than ${longestChain} other names`);
}

function isAddress(answer: Answer): answer is StringAnswer & { type: AddressType } {
  return answer.type === "A" || answer.type === "AAAA";
}

function isAlias(answer: Answer): answer is StringAnswer & { type: "CNAME" } {
  return answer.type === "CNAME";
}

function shortest(records: Answer[]): number | null {
  const seconds = records.map((record) => "ttl" in record && record.ttl !== undefined ? record.ttl : 0);
  return seconds.length === 0 ? null : Math.min(...seconds) * 1000;
}

function canonical(name: string): string {
  return name.toLowerCase().replace(/\.$/, "");
}
