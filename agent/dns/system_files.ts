/** What this machine says of names: `/etc/resolv.conf` and `/etc/hosts`. */
import { isIP } from "node:net";

/** A DNS server to ask. */
export interface NameServer {
  address: string;
  port: number;
}

/** resolv.conf(5): more than three are not asked. */
const mostServers = 3;
const dnsPort = 53;

/** The servers of a resolv.conf, in order; this machine itself where none is named, as resolv.conf(5) has it. */
export function parseNameServers(text: string): NameServer[] {
  const servers = text.split("\n")
    .map((line) => line.replace(/[#;].*/, "").trim().split(/\s+/))
    .filter(([keyword, address = ""]) => keyword === "nameserver" && isIP(address.split("%")[0]) !== 0)
    .map(([, address]) => ({ address, port: dnsPort }))
    .slice(0, mostServers);
  return servers.length > 0 ? servers : [{ address: "127.0.0.1", port: dnsPort }];
}

/** The addresses of a hosts file, by name in lower case. */
export function parseHosts(text: string): Map<string, string[]> {
  const hosts = new Map<string, string[]>();
  for (const line of text.split("\n")) {
    const [address, ...names] = line.replace(/#.*/, "").trim().split(/\s+/);
    if (isIP(address) === 0) continue;
    for (const name of names.map((name) => name.toLowerCase())) {
      const known = hosts.get(name);
      if (known === undefined) hosts.set(name, [address]);
      else if (!known.includes(address)) known.push(address);
    }
  }
  return hosts;
}

/** How long what was read counts as what is there, milliseconds. */
const freshness = 5000;

/** A small file as read lately; one that is not there reads as empty. */
export class SystemFile<Content> {
  readonly #path: string;
  readonly #parse: (text: string) => Content;
  #content: Content | undefined;
  #readAt = 0;

  constructor(path: string, parse: (text: string) => Content) {
    this.#path = path;
    this.#parse = parse;
  }

  async content(): Promise<Content> {
    const now = performance.now();
    if (this.#content !== undefined && now - this.#readAt < freshness) return this.#content;
    this.#readAt = now;
    const text = await Deno.readTextFile(this.#path).catch(() => "");
    return this.#content = this.#parse(text);
  }
}
