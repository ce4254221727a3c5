/** Where traffic goes: `Destination` and lists of weighted ones. */
import { list, message, required } from "../../yaml/collections.ts";
import type { Cursor } from "../../yaml/cursor.ts";
import { integer, refine, type Schema, string } from "../../yaml/schema.ts";
import type { Destination, HTTPRouteDestination, RouteDestination } from "../types.ts";
import { headers } from "./headers.ts";
import { isAddress, istioLabel, portNumber, wildcardHost } from "./names.ts";

const port = message<{ number?: number }>({ number: portNumber });

/** A text rule: one host; a wildcard stands for the ServiceEntry that has it. */
function destinationHost(value: string): string | undefined {
  if (value === "*") return "be one host, not *";
  return isAddress(value) ? undefined : wildcardHost(value);
}

export const destination: Schema<Destination> = message<Destination>({
  host: required(string(destinationHost)),
  subset: string(istioLabel),
  port,
}, (_, cursor) => {
  if (cursor.has("port") && !cursor.at("port").has("number")) cursor.at("port", "number").error("is required");
});

const weight = integer(0, 2 ** 31 - 1);

export const httpDestinations: Schema<HTTPRouteDestination[]> = weighted(
  message<HTTPRouteDestination>({ destination: required(destination), weight, headers }),
);

/** Of TLS and TCP routes. */
export const routeDestinations: Schema<RouteDestination[]> = weighted(
  message<RouteDestination>({ destination: required(destination), weight }),
);

function weighted<T extends { weight?: number }>(item: Schema<T>): Schema<T[]> {
  return refine(list(item), checkWeights);
}

function checkWeights(items: { weight?: number }[], cursor: Cursor): void {
  if (items.length < 2) return;
  const sum = items.reduce((total, { weight = 0 }) => total + weight, 0);
  if (sum === 0) cursor.error("the weights of several destinations must not all be 0: nothing would be chosen");
  if (sum > 2 ** 32 - 1) cursor.error(`the weights must not sum up to more than ${2 ** 32 - 1}, found ${sum}`);
}
