/** What rules ask of a request: of the head just parsed, or of the one that the application was sent. */
import { ascii, latin1 } from "../decode/characters.ts";
import type { RequestHead } from "../decode/head.ts";
import type { DownstreamLink } from "../downstream_stream.ts";
import { clientAddress } from "../identify/client_address.ts";
import type { RequestFacts } from "../../routing/authorize/facts.ts";
import type { ByteQueue } from "../worker/buffers.ts";

const forwardedFor = "x-forwarded-for";
const names = new Map<string, Uint8Array>();

/** Names of headers as bytes; they are those of rules, so there are not many. */
function nameBytes(name: string): Uint8Array {
  let bytes = names.get(name);
  if (bytes === undefined) names.set(name, bytes = ascii(name));
  return bytes;
}

/** The head at hand. Used again for every request. */
export class RequestFactsOfHead implements RequestFacts {
  #head: RequestHead | null = null;
  #link: DownstreamLink | null = null;

  read(head: RequestHead, link: DownstreamLink): void {
    this.#head = head;
    this.#link = link;
  }

  headerValues(name: string): readonly string[] {
    const { fields } = this.#head!;
    const values: string[] = [];
    const bytes = nameBytes(name);
    for (let i = fields.find(bytes); i >= 0; i = fields.find(bytes, i + 1)) values.push(fields.value(i));
    return values;
  }

  get authority(): string {
    return this.#head!.authority;
  }

  get method(): string {
    return this.#head!.method;
  }

  get pathWithQuery(): string {
    return this.#head!.path;
  }

  get path(): string {
    const head = this.#head!;
    return latin1(head.fields.bytes, head.pathStart, head.queryStart);
  }

  get scheme(): string {
    return schemeOf(this.#link!);
  }

  get remoteAddress(): string {
    return clientAddress(this.#link!, this.headerValues(forwardedFor));
  }
}

/** A request as it was written for the application: a request line, then `name: value` lines. */
export class WrittenRequest implements RequestFacts {
  readonly method: string;
  readonly pathWithQuery: string;
  readonly #headers = new Map<string, string[]>();

  constructor(head: ByteQueue, private readonly link: DownstreamLink) {
    const [requestLine, ...lines] = latin1(head.bytes, head.start, head.end).split("\r\n");
    const [method, path] = requestLine.split(" ");
    this.method = method;
    this.pathWithQuery = path;
    for (const line of lines) {
      const colon = line.indexOf(":");
      if (colon <= 0) continue;
      const name = line.slice(0, colon);
      this.#headers.set(name, [...this.#headers.get(name) ?? [], line.slice(colon + 1).trim()]);
    }
  }

  headerValues(name: string): readonly string[] {
    return this.#headers.get(name) ?? [];
  }

  get authority(): string {
    return this.headerValues("host")[0] ?? "";
  }

  get path(): string {
    return this.pathWithQuery.split("?", 1)[0];
  }

  get scheme(): string {
    return schemeOf(this.link);
  }

  get remoteAddress(): string {
    return clientAddress(this.link, this.headerValues(forwardedFor));
  }
}

function schemeOf({ peer }: DownstreamLink): string {
  return peer.tlsVersion === "" ? "http" : "https";
}

/** A connection that carries no requests, where rules are asked that could be about one. */
export function connectionRequest(link: DownstreamLink): RequestFacts {
  return {
    headerValues: () => [],
    authority: "",
    method: "",
    pathWithQuery: "",
    path: "",
    scheme: schemeOf(link),
    remoteAddress: clientAddress(link, []),
  };
}
