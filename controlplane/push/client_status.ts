/**
 * CSDS, `envoy.service.status.v3.ClientStatusDiscoveryService`: what each proxy has, for who asks with the identity of
 * the mesh that the proxy has. Operators ask the REST API.
 */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { Authority } from "../../ca/authority/authority.ts";
import { ClientResourceStatus } from "../../routing/xds/gen/envoy/admin/v3/config_dump_shared_pb.ts";
import {
  type ClientConfig,
  ClientConfigSchema,
  type ClientStatusRequest,
  ClientStatusRequestSchema,
  ClientStatusResponseSchema,
  ConfigStatus,
} from "../../routing/xds/gen/envoy/service/status/v3/csds_pb.ts";
import { nodeId } from "../../routing/xds/node.ts";
import type { Caller, Method } from "../grpc/grpc_call.ts";
import { GrpcError, Status } from "../grpc/status.ts";
import { unary } from "../grpc/unary.ts";
import { peerIdentity } from "../sign/peer_identity.ts";
import type { SubscriptionStatus } from "./delivery.ts";
import type { Proxies, ProxyConfiguration } from "./proxies.ts";
import type { HeldResource } from "./push_stream.ts";
import { type ResourceType, typeUrls } from "./resource_types.ts";

const service = "/envoy.service.status.v3.ClientStatusDiscoveryService";
const requestLimit = 64 * 1024;

const statuses: Record<SubscriptionStatus["status"], [ConfigStatus, ClientResourceStatus]> = {
  "SYNCED": [ConfigStatus.SYNCED, ClientResourceStatus.ACKED],
  "STALE": [ConfigStatus.STALE, ClientResourceStatus.REQUESTED],
  "NACK": [ConfigStatus.ERROR, ClientResourceStatus.NACKED],
  "NOT SENT": [ConfigStatus.NOT_SENT, ClientResourceStatus.REQUESTED],
};

/** Both methods: the stream answers each request as the other does. */
export function clientStatusService(authority: Authority, proxies: Proxies): Method[] {
  const answer = (bytes: Uint8Array, caller: Caller): Uint8Array => {
    const { namespace, serviceAccount } = peerIdentity(caller, authority);
    const request = fromBinary(ClientStatusRequestSchema, bytes);
    const ids = nodeIds(request);
    const config = proxies.configurations((node) =>
      node.namespace === namespace && node.serviceAccount === serviceAccount &&
      (ids === null || ids.has(nodeId(node)))
    ).map((proxy) => clientConfig(proxy, request.excludeResourceContents));
    return toBinary(ClientStatusResponseSchema, create(ClientStatusResponseSchema, { config }));
  };
  return [
    unary({
      path: `${service}/FetchClientStatus`,
      requestLimit,
      answer: (bytes, caller) => Promise.resolve().then(() => answer(bytes, caller)),
    }),
    {
      path: `${service}/StreamClientStatus`,
      requestLimit,
      open: (call) => ({
        message: (bytes) => call.send(answer(bytes, call.caller)),
        end: () => call.end(),
        closed() {},
      }),
    },
  ];
}

/** The nodes that are asked for; `null`: all. @throws {GrpcError} INVALID_ARGUMENT for matchers that are not served */
function nodeIds({ nodeMatchers }: ClientStatusRequest): Set<string> | null {
  if (nodeMatchers.length === 0) return null;
  return new Set(nodeMatchers.map(({ nodeId, nodeMetadatas }) => {
    const pattern = nodeId?.matchPattern;
    if (pattern?.case === "exact" && nodeMetadatas.length === 0) return pattern.value;
    throw new GrpcError(Status.invalidArgument, "of node_matchers only node_id.exact is served");
  }));
}

function clientConfig({ node, status, held }: ProxyConfiguration, withoutContents: boolean): ClientConfig {
  return create(ClientConfigSchema, {
    node: { id: nodeId(node), cluster: node.service },
    genericXdsConfigs: held.map(({ type, name, version, resource }: HeldResource) => {
      const [configStatus, clientStatus] = statuses[status[type].status];
      // Secrets are told by name alone.
      const shown = resource !== undefined && !withoutContents && type !== "SDS";
      return {
        typeUrl: typeUrls[type],
        name,
        versionInfo: version,
        configStatus,
        clientStatus,
        ...(shown ? { xdsConfig: { typeUrl: resource.typeUrl, value: resource.bytes } } : {}),
        ...errorState(status, type),
      };
    }),
  });
}

function errorState(status: Record<ResourceType, SubscriptionStatus>, type: ResourceType) {
  const { reason, sent } = status[type];
  return reason === undefined ? {} : { errorState: { details: reason, versionInfo: sent } };
}
