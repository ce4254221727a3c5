/** `v1/Service` as Kubernetes writes it. */
import { list, object, oneOf, required } from "../../yaml/collections.ts";
import { quote } from "../../yaml/node.ts";
import { enumeration, type Schema, string } from "../../yaml/schema.ts";
import type { KubernetesServiceSpec } from "../types.ts";
import { dnsLabel, labels, portNumber } from "./names.ts";

type Port = NonNullable<KubernetesServiceSpec["ports"]>[number];

const port: Schema<Port> = object<Port>({
  name: string(dnsLabel),
  port: required(portNumber),
  targetPort: oneOf<number | string>("a port number or the name of a port", portNumber, string(dnsLabel)),
  protocol: enumeration("TCP", "UDP", "SCTP"),
  appProtocol: string(),
}, { unread: ["nodePort"] });

/** Fields of Kubernetes that mean nothing on virtual machines. */
const unread = [
  "allocateLoadBalancerNodePorts",
  "clusterIPs",
  "externalIPs",
  "externalName",
  "externalTrafficPolicy",
  "healthCheckNodePort",
  "internalTrafficPolicy",
  "ipFamilies",
  "ipFamilyPolicy",
  "loadBalancerClass",
  "loadBalancerIP",
  "loadBalancerSourceRanges",
  "publishNotReadyAddresses",
  "sessionAffinity",
  "sessionAffinityConfig",
  "trafficDistribution",
];

export const kubernetesService: Schema<KubernetesServiceSpec> = object<KubernetesServiceSpec>({
  ports: list(port),
  selector: labels,
  clusterIP: string(),
  type: enumeration("ClusterIP", "NodePort", "LoadBalancer", "ExternalName"),
}, {
  unread,
  rules: ({ ports = [], type }, cursor) => {
    if (type !== "ExternalName" && cursor.at("ports").items().length === 0) {
      cursor.at("ports").error("is required: a service has at least one port");
    }
    const names = new Set<string>();
    const numbers = new Set<string>();
    ports.forEach(({ name, port, protocol = "TCP" }, index) => {
      const at = cursor.at("ports", index);
      if (name === undefined && ports.length > 1) at.at("name").error("is required where there are several ports");
      if (name !== undefined && names.has(name)) at.at("name").error(`the port name ${quote(name)} is used twice`);
      if (numbers.has(`${protocol}/${port}`)) at.at("port").error(`the port ${port} is used twice`);
      if (name !== undefined) names.add(name);
      numbers.add(`${protocol}/${port}`);
    });
  },
});
