/** What rules are judged by: facts of a connection, and of a request on it. */
import type { IdentitySegments } from "./identity_pattern.ts";

export interface ConnectionFacts {
  /** `spiffe://…` of the client certificate; empty: none. */
  principal: string;
  /** Its segments; `null` where there is none, or it is of another form. */
  identity: IdentitySegments | null;
  /** IP address of the other end of the connection. */
  peerAddress: string;
  localAddress: string;
  localPort: number;
  /** SNI; empty without one. */
  serverName: string;
}

/** Asked only for what rules name, so that nothing is made into text without need. */
export interface RequestFacts {
  /** Every value of a header (lower case), one for each line; none: it is not there. */
  headerValues(name: string): readonly string[];
  /** Lower case, as it came. */
  readonly authority: string;
  readonly method: string;
  /** Canonical, with its query. */
  readonly pathWithQuery: string;
  /** Canonical, without its query. */
  readonly path: string;
  readonly scheme: string;
  /** IP address of whom the request comes from, as far as forwarding proxies are trusted. */
  readonly remoteAddress: string;
}
