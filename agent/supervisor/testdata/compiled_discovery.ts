/** Serves what compilation makes of a mesh, over delta ADS: enough of a control plane for one agent in a test. */
import { anyPack } from "@bufbuild/protobuf/wkt";
import { compileEndpoints } from "../../../routing/compile/endpoints.ts";
import { compileProxy } from "../../../routing/compile/proxy.ts";
import type { Mesh } from "../../../routing/mesh.ts";
import { ClusterSchema } from "../../../routing/xds/gen/envoy/config/cluster/v3/cluster_pb.ts";
import { ClusterLoadAssignmentSchema } from "../../../routing/xds/gen/envoy/config/endpoint/v3/endpoint_pb.ts";
import { ListenerSchema } from "../../../routing/xds/gen/envoy/config/listener/v3/listener_pb.ts";
import { RouteConfigurationSchema } from "../../../routing/xds/gen/envoy/config/route/v3/route_pb.ts";
import type { DeltaDiscoveryRequest } from "../../../routing/xds/gen/envoy/service/discovery/v3/discovery_pb.ts";
import { nodeFromMetadata, type WorkloadNode } from "../../../routing/xds/node.ts";
import type { TestStream } from "../../discovery/testdata/test_control_plane.ts";
import { clusterType, endpointType, listenerType, routeType } from "../../discovery/type_urls.ts";

export class CompiledDiscovery {
  /** The nodes of all streams so far. */
  readonly nodes: WorkloadNode[] = [];
  /** Reasons of refused responses. */
  readonly refusals: string[] = [];
  readonly #nodes = new Map<TestStream, WorkloadNode>();
  #nonce = 0;

  constructor(readonly mesh: Mesh) {}

  readonly request = (stream: TestStream, request: DeltaDiscoveryRequest): void => {
    if (request.node !== undefined) {
      const node = nodeFromMetadata(request.node.metadata!);
      this.#nodes.set(stream, node);
      this.nodes.push(node);
    }
    if (request.errorDetail !== undefined) this.refusals.push(request.errorDetail.message);
    if (request.responseNonce !== "" || request.resourceNamesSubscribe.length === 0) return;
    const resources = this.#resources(this.#nodes.get(stream)!, request);
    stream.send({
      typeUrl: request.typeUrl,
      nonce: String(++this.#nonce),
      resources: resources.map(([name, resource]) => ({ name, version: "1", resource })),
    });
  };

  #resources(node: WorkloadNode, request: DeltaDiscoveryRequest) {
    const snapshot = compileProxy(this.mesh, node);
    switch (request.typeUrl) {
      case clusterType:
        return [...snapshot.clusters].map(([name, one]) => [name, anyPack(ClusterSchema, one)] as const);
      case listenerType:
        return [...snapshot.listeners].map(([name, one]) => [name, anyPack(ListenerSchema, one)] as const);
      case routeType:
        return [...snapshot.routes].map(([name, one]) => [name, anyPack(RouteConfigurationSchema, one)] as const);
      case endpointType:
        return request.resourceNamesSubscribe.map((name) =>
          [name, anyPack(ClusterLoadAssignmentSchema, compileEndpoints(this.mesh, name))] as const
        );
    }
    return [];
  }
}
