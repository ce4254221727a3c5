/** `TrafficPolicy` of a DestinationRule and of its subsets. */
import { atMostOne, list, message, required } from "../../yaml/collections.ts";
import type { Cursor } from "../../yaml/cursor.ts";
import { boolean, enumeration, integer, nonEmpty, number, type Schema, string } from "../../yaml/schema.ts";
import { duration } from "../duration.ts";
import type { ClientTLSSettings, PortTrafficPolicy, TrafficPolicy } from "../types.ts";
import { connectionPool, outlierDetection } from "./connection_pool.ts";
import { loadBalancer } from "./load_balancer.ts";
import { hostName, isAddress, portNumber } from "./names.ts";

export const clientTls: Schema<ClientTLSSettings> = message<ClientTLSSettings>({
  mode: enumeration("DISABLE", "SIMPLE", "MUTUAL", "ISTIO_MUTUAL"),
  clientCertificate: string(),
  privateKey: string(),
  caCertificates: string(),
  credentialName: string(),
  subjectAltNames: list(string(nonEmpty)),
  sni: string(),
  insecureSkipVerify: boolean,
  caCrl: string(),
}, ({ mode, insecureSkipVerify }, cursor) => {
  const files = ["clientCertificate", "privateKey", "caCertificates", "caCrl"];
  if (insecureSkipVerify && (mode === "SIMPLE" || mode === "MUTUAL")) {
    const verified = ["caCertificates", "subjectAltNames", ...mode === "SIMPLE" ? ["credentialName"] : []];
    for (const name of verified.filter((name) => cursor.has(name))) {
      cursor.atKey(name).error("cannot stand beside insecureSkipVerify, which verifies nothing");
    }
  }
  if (cursor.has("credentialName") && (mode === "SIMPLE" || mode === "MUTUAL")) {
    for (const name of files) {
      if (cursor.has(name)) cursor.atKey(name).error("cannot stand beside credentialName, which brings it");
    }
  } else if (mode === "MUTUAL") {
    for (const name of ["clientCertificate", "privateKey"]) {
      if (!cursor.has(name)) cursor.at(name).error("is required with mode MUTUAL");
    }
  }
  if (mode !== "ISTIO_MUTUAL") return;
  for (const name of [...files, "credentialName", "insecureSkipVerify"]) {
    if (cursor.has(name)) {
      cursor.atKey(name).warning("is ignored with mode ISTIO_MUTUAL: the mesh has its own certificates");
    }
  }
});

const perPort = { loadBalancer, connectionPool, outlierDetection, tls: clientTls };

const port = message<{ number?: number }>({ number: portNumber });

const portPolicy: Schema<PortTrafficPolicy> = message<PortTrafficPolicy>({ ...perPort, port }, (_, cursor) => {
  if (!cursor.at("port").has("number")) cursor.at("port", "number").error("is required");
  if (!Object.keys(perPort).some((name) => cursor.has(name))) {
    cursor.error(`must set at least one of ${Object.keys(perPort).join(", ")}`);
  }
  warnOfFailover(cursor);
});

/** Failover goes by outlier detection: without it every endpoint is good. */
function warnOfFailover(cursor: Cursor): void {
  if (cursor.has("outlierDetection")) return;
  for (const name of ["localityLbSetting", "zoneAwareLbSetting"]) {
    const setting = cursor.at("loadBalancer", name);
    const fails = ["failover", "failoverPriority"].find((name) => setting.at(name).items().length > 0);
    if (fails !== undefined) setting.atKey(fails).warning("does nothing without outlierDetection beside loadBalancer");
  }
}

export const trafficPolicy: Schema<TrafficPolicy> = message<TrafficPolicy>({
  ...perPort,
  portLevelSettings: list(portPolicy),
  tunnel: message<NonNullable<TrafficPolicy["tunnel"]>>({
    protocol: enumeration("CONNECT", "POST"),
    targetHost: required(string((value) => isAddress(value) ? undefined : hostName(value))),
    targetPort: required(portNumber),
  }),
  proxyProtocol: message<NonNullable<TrafficPolicy["proxyProtocol"]>>({ version: enumeration("V1", "V2") }),
  retryBudget: message<NonNullable<TrafficPolicy["retryBudget"]>>({
    percent: number(0, 100),
    minRetryConcurrency: integer(0, 2 ** 32 - 1),
    budgetInterval: duration({ zero: true }),
  }),
}, ({ portLevelSettings }, cursor) => {
  if (cursor.node.type === "map" && cursor.node.entries.size === 0) cursor.error("must set at least one field");
  atMostOne(cursor, "tunnel", "proxyProtocol");
  warnOfFailover(cursor);
  refuseRepeatedPorts(portLevelSettings ?? [], cursor);
});

function refuseRepeatedPorts(policies: PortTrafficPolicy[], cursor: Cursor): void {
  const seen = new Set<number>();
  policies.forEach(({ port }, index) => {
    const number = port?.number ?? 0;
    if (seen.has(number)) cursor.at("portLevelSettings", index, "port").error(`port ${number} has a policy already`);
    seen.add(number);
  });
}
