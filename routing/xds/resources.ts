/** xDS resources on the wire: their type URLs, their names, and their encoding with a version. */
import { type DescMessage, type Message, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { type Any, anyPack } from "@bufbuild/protobuf/wkt";
import { contentHash } from "./content_hash.ts";
import { type Cluster, ClusterSchema } from "./gen/envoy/config/cluster/v3/cluster_pb.ts";
import { type ClusterLoadAssignment, ClusterLoadAssignmentSchema } from "./gen/envoy/config/endpoint/v3/endpoint_pb.ts";
import { type Listener, ListenerSchema } from "./gen/envoy/config/listener/v3/listener_pb.ts";
import { type RouteConfiguration, RouteConfigurationSchema } from "./gen/envoy/config/route/v3/route_pb.ts";
import { type Secret, SecretSchema } from "./gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.ts";

const prefix = "type.googleapis.com/";

/** Type URLs of the resources that are discovered, as `DiscoveryRequest.type_url` names them. */
export const TYPE_URL = Object.freeze({
  listener: `${prefix}${ListenerSchema.typeName}`,
  route: `${prefix}${RouteConfigurationSchema.typeName}`,
  cluster: `${prefix}${ClusterSchema.typeName}`,
  endpoint: `${prefix}${ClusterLoadAssignmentSchema.typeName}`,
  secret: `${prefix}${SecretSchema.typeName}`,
});

/** A message that is a discovered resource of its own. */
export type XdsResource = Listener | RouteConfiguration | Cluster | ClusterLoadAssignment | Secret;

/** A resource as it travels: `bytes` is the message alone, the `value` of an `Any` whose type is {@link typeUrl}. */
export interface EncodedResource {
  name: string;
  typeUrl: string;
  /** Hash of {@link bytes}: the same content has the same version, whoever compiled it. */
  version: string;
  bytes: Uint8Array;
}

const schemas: ReadonlyMap<string, DescMessage> = new Map(
  [ListenerSchema, RouteConfigurationSchema, ClusterSchema, ClusterLoadAssignmentSchema, SecretSchema]
    .map((schema) => [schema.typeName, schema]),
);

const encoded = new WeakMap<Message, EncodedResource>();

/** The name by which a resource is subscribed to. */
export function resourceName(message: XdsResource): string {
  return message.$typeName === ClusterLoadAssignmentSchema.typeName
    ? (message as ClusterLoadAssignment).clusterName
    : (message as Exclude<XdsResource, ClusterLoadAssignment>).name;
}

/**
 * Encodes a resource, once per message object: compiled messages are never changed, so all who are sent the same
 * object share its bytes.
 */
export function encodeResource(message: XdsResource): EncodedResource {
  const known = encoded.get(message);
  if (known !== undefined) return known;
  const bytes = toBinary(schemas.get(message.$typeName)!, message);
  const result: EncodedResource = {
    name: resourceName(message),
    typeUrl: prefix + message.$typeName,
    version: contentHash(bytes),
    bytes,
  };
  encoded.set(message, result);
  return result;
}

/** Packs a message into `google.protobuf.Any`, as extensions' `typed_config` wants it. */
export function packAny<Schema extends DescMessage>(schema: Schema, message: MessageShape<Schema>): Any {
  return anyPack(schema, message);
}
