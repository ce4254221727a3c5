/** One type of resources on one ADS stream, whichever variant of the protocol the client speaks. */
import type { EncodedResource } from "../../routing/xds/resources.ts";
import { contentHash } from "../../routing/xds/content_hash.ts";
import type { SubscriptionStatus } from "./delivery.ts";
import type { AvailableResources } from "./proxy_resources.ts";
import type { ResourceType } from "./resource_types.ts";

/** What to send next. */
export interface Difference {
  /** The very list that other streams are sent too, where it is one that many share: it is encoded once. */
  shared: readonly EncodedResource[];
  /** The rest. */
  resources: EncodedResource[];
  /** Names of what the client is to forget; said in delta alone, in state of the world by absence. */
  removed: string[];
  /** Version of everything that the client will then have of the type. */
  version: string;
}

export interface Subscription<Request> {
  /** A response is without answer. */
  readonly waiting: boolean;
  /** The client refused what it was sent last. */
  readonly rejected: boolean;
  /** Takes a later request's names. `answered`: the request was the answer to the outstanding response. */
  change(request: Request, answered: boolean): void;
  /**
   * What the client lacks; `null`: nothing, or it has refused exactly this.
   *
   * @param keepRemoved whether resources that no longer exist stay with the client for now
   */
  difference(available: AvailableResources, keepRemoved: boolean): Difference | null;
  /** The difference is on its way. */
  sent(difference: Difference, nonce: string, now: number): void;
  /** @returns milliseconds since the client lacked something; `null` for an answer that is not to what was sent last */
  acknowledge(nonce: string, now: number): number | null;
  /**
   * The client keeps what it had. It is sent the same again only together with a change, which may be what it needs.
   *
   * @returns false for an answer that is not to what was sent last
   */
  reject(nonce: string, reason: string): boolean;
  status(): SubscriptionStatus;
  /** Names and versions of what the client has, or will have once it takes the outstanding response. */
  held(): Iterable<[name: string, version: string]>;
  /** The client is sent these once more, as far as it asks for them, whatever their version. */
  resend(names: Iterable<string>): void;
}

/** Makes the subscription of a type from the first request that names it. */
export type Subscribe<Request> = (type: ResourceType, first: Request) => Subscription<Request>;

/** The client asks for more than this control plane keeps for it. */
export class SubscriptionError extends Error {
  override name = "SubscriptionError";
}

const nameLimit = 100_000;
const encoder = new TextEncoder();

/** @throws {SubscriptionError} */
export function checkNameLimit(type: ResourceType, names: { readonly size: number }): void {
  if (names.size > nameLimit) throw new SubscriptionError(`more than ${nameLimit} ${type} names`);
}

/** One version for many resources: the same for the same names and versions, in whatever order. */
export function versionOf(versions: Iterable<[name: string, version: string]>): string {
  return contentHash(encoder.encode([...versions].map((pair) => pair.join(" ")).sort().join("\n")));
}
