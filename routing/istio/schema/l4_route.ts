/** TLS and TCP routes of a VirtualService. */
import { list, message, required } from "../../yaml/collections.ts";
import { type Schema, string } from "../../yaml/schema.ts";
import { type RouteDestination, routeDestinations } from "./destination.ts";
import { gateways } from "./http_match.ts";
import { addressOrSubnet, dnsLabel, labels, portNumber, wildcardHost } from "./names.ts";

export interface L4Match {
  destinationSubnets?: string[];
  port?: number;
  sourceSubnet?: string;
  sourceLabels?: Record<string, string>;
  gateways?: string[];
  sourceNamespace?: string;
}

export interface TLSMatch extends Omit<L4Match, "sourceSubnet"> {
  sniHosts: string[];
}

const shared = {
  destinationSubnets: list(string(addressOrSubnet)),
  port: portNumber,
  sourceLabels: labels,
  gateways,
  sourceNamespace: string(dnsLabel),
};

const some = { minimum: 1 };

const tlsMatch = message<TLSMatch>({ ...shared, sniHosts: required(list(string(wildcardHost), some)) });
const tcpMatch = message<L4Match>({ ...shared, sourceSubnet: string(addressOrSubnet) });

export interface TLSRoute {
  match: TLSMatch[];
  route: RouteDestination[];
}

export interface TCPRoute {
  match?: L4Match[];
  route: RouteDestination[];
}

export const tlsRoute: Schema<TLSRoute> = message<TLSRoute>({
  match: required(list(tlsMatch, some)),
  route: required(routeDestinations),
});

export const tcpRoute: Schema<TCPRoute> = message<TCPRoute>({
  match: list(tcpMatch),
  route: required(routeDestinations),
});
