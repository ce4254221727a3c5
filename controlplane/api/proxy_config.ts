/** What proxies have, as JSON: `GET /api/v1/proxies/PROXY/config/TYPE`. Secrets by name alone. */
import { fromBinary, toJson } from "@bufbuild/protobuf";
import type { JsonValue } from "@bufbuild/protobuf";
import { xdsRegistry } from "../../routing/xds/registry.ts";
import type { EncodedResource } from "../../routing/xds/resources.ts";
import type { ProxyConfiguration } from "../push/proxies.ts";
import type { HeldResource } from "../push/push_stream.ts";
import type { ResourceType } from "../push/resource_types.ts";

/** The words of the command line and of the path. */
export const configTypes: Readonly<Record<string, ResourceType>> = {
  listeners: "LDS",
  routes: "RDS",
  clusters: "CDS",
  endpoints: "EDS",
  secrets: "SDS",
};

/** One resource of one proxy. */
export interface ProxyResourceView {
  /** `WORKLOAD.NAMESPACE`. */
  proxy: string;
  agent: string;
  name: string;
  version: string;
  status: "SYNCED" | "STALE" | "NACK" | "NOT SENT";
  /** The message in protobuf's JSON. Absent where the mesh has a newer version, and for secrets. */
  resource?: JsonValue;
}

/** Whether `name` means the proxy: its agent's name, or `WORKLOAD.NAMESPACE`. */
export function isNamed(name: string, { agent, workload, namespace }: ProxyConfiguration["node"]): boolean {
  return name === agent || name === `${workload}.${namespace}`;
}

export function proxyResources(proxies: ProxyConfiguration[], type: ResourceType): ProxyResourceView[] {
  return proxies.flatMap(({ node, status, held }) =>
    held.filter((each) => each.type === type).map((each) => ({
      proxy: `${node.workload}.${node.namespace}`,
      agent: node.agent,
      name: each.name,
      version: each.version,
      status: status[type].status,
      ...contents(each),
    }))
  );
}

function contents({ type, resource }: HeldResource): { resource?: JsonValue } {
  return resource === undefined || type === "SDS" ? {} : { resource: json(resource) };
}

function json({ typeUrl, bytes }: EncodedResource): JsonValue {
  const schema = xdsRegistry.getMessage(typeUrl.slice(typeUrl.lastIndexOf("/") + 1));
  if (schema === undefined) throw new Error(`no schema for ${typeUrl}`);
  return toJson(schema, fromBinary(schema, bytes), { registry: xdsRegistry });
}
