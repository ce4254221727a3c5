/** ServiceEntry, by the rules of Istio's validator and of its resource definition. */
import { atMostOne, list, map, message, required } from "../../yaml/collections.ts";
import type { Cursor } from "../../yaml/cursor.ts";
import { quote } from "../../yaml/node.ts";
import { enumeration, nonEmpty, type Schema, string } from "../../yaml/schema.ts";
import type { ServiceEntryPort, ServiceEntrySpec } from "../types.ts";
import {
  addressOrSubnet,
  exportTo,
  isAddress,
  isSubnet,
  labelKey,
  labelValue,
  portNumber,
  wildcardHost,
} from "./names.ts";
import { protocol } from "./protocol.ts";
import { portName, unixScheme, workloadEntry } from "./workload_entry.ts";

const port: Schema<ServiceEntryPort> = message<ServiceEntryPort>({
  number: required(portNumber),
  // Empty asks for sniffing, as absent does.
  protocol: string((value) => value === "" ? undefined : protocol(value)),
  name: required(string(portName)),
  targetPort: portNumber,
});

/** A text rule: host, not `*` alone. */
function entryHost(value: string): string | undefined {
  return value === "*" ? "name hosts: * alone would take all traffic" : wildcardHost(value);
}

const atMost256 = { maximum: 256 };

export const serviceEntry: Schema<ServiceEntrySpec> = message<ServiceEntrySpec>({
  hosts: required(list(string(entryHost), { minimum: 1, maximum: 256 })),
  addresses: list(string(addressOrSubnet), atMost256),
  ports: list(port, atMost256),
  location: enumeration("MESH_EXTERNAL", "MESH_INTERNAL"),
  resolution: enumeration("NONE", "STATIC", "DNS", "DNS_ROUND_ROBIN", "DYNAMIC_DNS"),
  endpoints: list(workloadEntry),
  workloadSelector: message<{ labels?: Record<string, string> }>({ labels: map(string(labelValue), labelKey) }),
  exportTo,
  subjectAltNames: list(string(nonEmpty)),
}, (spec, cursor) => {
  checkPorts(spec.ports ?? [], cursor);
  warnOfLooseParts(spec, cursor);
  if (!cursor.has("ports")) cursor.at("ports").warning("without ports nothing is routed to these hosts");
  atMostOne(cursor, "endpoints", "workloadSelector");
  if (cursor.has("resolution") && spec.resolution === undefined) return;
  checkResolution(spec, cursor);
  checkEndpoints(spec, cursor);
});

function checkPorts(ports: ServiceEntryPort[], cursor: Cursor): void {
  const names = new Set<string>();
  const numbers = new Set<number>();
  ports.forEach(({ name, number }, index) => {
    const at = cursor.at("ports", index);
    if (names.has(name)) at.at("name").error(`the port name ${quote(name)} is used twice`);
    if (numbers.has(number)) at.at("number").error(`the port ${number} is used twice`);
    names.add(name);
    numbers.add(number);
  });
}

function warnOfLooseParts(spec: Partial<ServiceEntrySpec>, cursor: Cursor): void {
  const { hosts = [], ports = [], resolution = "NONE", workloadSelector } = spec;
  if (cursor.has("workloadSelector")) {
    const at = cursor.atKey("workloadSelector");
    if (Object.keys(workloadSelector?.labels ?? {}).length === 0) {
      at.warning("selects by no label: every workload is meant");
    } else if (resolution === "NONE") {
      at.warning("does nothing with resolution NONE: traffic goes where the caller sent it");
    }
  }
  hosts.forEach((host, index) => {
    if (resolution === "DYNAMIC_DNS" || !/^\*[^.]/.test(host)) return;
    cursor.at("hosts", index).warning("has * as a part of a label: write it as a whole one, *.example.com");
  });
  if (hosts.length < 2) return;
  const other = ports.findIndex(({ protocol = "" }) =>
    !/^(HTTP|HTTP_PROXY|HTTP2|GRPC|GRPC-WEB|HTTPS|TLS)$/i.test(protocol)
  );
  if (resolution !== "NONE" && other >= 0) {
    cursor.at("ports", other).error("several hosts need HTTP or TLS on every port: nothing else says which is meant");
  }
}

function checkResolution(spec: Partial<ServiceEntrySpec>, cursor: Cursor): void {
  const { hosts = [], addresses = [], ports = [], resolution = "NONE" } = spec;
  const endpoints = cursor.at("endpoints").items().length;
  const ranges = addresses.findIndex(isSubnet);
  if (ranges >= 0 && resolution !== "NONE" && resolution !== "STATIC") {
    cursor.at("addresses", ranges).error(`a range of addresses needs resolution NONE or STATIC, found ${resolution}`);
  }
  const wildcard = hosts.findIndex((host) => host.startsWith("*"));
  const byName = resolution === "DNS" || resolution === "DNS_ROUND_ROBIN";
  if (resolution === "NONE" && endpoints > 0) {
    cursor.atKey("endpoints").error("need resolution STATIC or DNS: with NONE traffic goes where the caller sent it");
  }
  if (byName && endpoints === 0 && wildcard >= 0) {
    cursor.at("hosts", wildcard).error("a wildcard cannot be resolved: name endpoints, or use resolution NONE");
  }
  if (resolution === "DNS_ROUND_ROBIN" && endpoints > 1) {
    cursor.at("endpoints").error(`must be at most one with resolution DNS_ROUND_ROBIN, found ${endpoints}`);
  }
  if (resolution === "STATIC" && endpoints === 0 && !cursor.has("workloadSelector")) {
    cursor.warning("resolution STATIC has neither endpoints nor workloadSelector: only agents' workloads can serve it");
  }
  if (resolution !== "DYNAMIC_DNS") return;
  hosts.forEach((host, index) => {
    if (!host.startsWith("*")) cursor.at("hosts", index).error("resolution DYNAMIC_DNS takes wildcard hosts only");
  });
  for (const name of ["addresses", "endpoints"]) {
    if (cursor.at(name).items().length > 0) cursor.atKey(name).error("cannot stand beside resolution DYNAMIC_DNS");
  }
  ports.forEach(({ protocol = "" }, index) => {
    if (["HTTP", "TLS", "GRPC", "HTTP2"].includes(protocol.toUpperCase())) return;
    cursor.at("ports", index).at("protocol").error("must be HTTP, HTTP2, GRPC or TLS with resolution DYNAMIC_DNS");
  });
}

function checkEndpoints(spec: Partial<ServiceEntrySpec>, cursor: Cursor): void {
  const { endpoints = [], ports = [], resolution = "NONE" } = spec;
  const names = new Set(ports.map(({ name }) => name));
  endpoints.forEach(({ address = "", ports: endpointPorts = {} }, index) => {
    const at = cursor.at("endpoints", index);
    const isSocket = address.startsWith(unixScheme);
    if (resolution === "STATIC" && address !== "" && !isSocket && !isAddress(address)) {
      at.at("address").error(`must be an IP address or a Unix socket with resolution STATIC, found ${quote(address)}`);
    }
    if (resolution !== "STATIC" && resolution !== "NONE" && isSocket) {
      at.at("address").error("a Unix socket needs resolution STATIC");
    }
    if (isSocket && ports.length !== 1) at.at("address").error("a Unix socket needs exactly one port under ports");
    for (const name of Object.keys(endpointPorts)) {
      if (!names.has(name)) {
        at.at("ports").atKey(name).error(`is no port of this ServiceEntry: ${[...names].join(", ")}`);
      }
    }
  });
}
