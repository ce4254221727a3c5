/**
 * Resources as they stand in a `DeltaDiscoveryResponse`, encoded once for all streams: a message of Protobuf may be put
 * together from pieces, each with some of its fields.
 */
import { create, toBinary } from "@bufbuild/protobuf";
import { DeltaDiscoveryResponseSchema } from "../../routing/xds/gen/envoy/service/discovery/v3/discovery_pb.ts";
import type { EncodedResource } from "../../routing/xds/resources.ts";

const fields = new WeakMap<EncodedResource, Uint8Array>();
const sharedFields = new WeakMap<readonly EncodedResource[], Uint8Array>();
const nothing = new Uint8Array(0);

/** One element of the field `resources`, with its tag. */
export function resourceField(resource: EncodedResource): Uint8Array {
  let field = fields.get(resource);
  if (field === undefined) {
    const { name, version, typeUrl, bytes } = resource;
    const response = create(DeltaDiscoveryResponseSchema, {
      resources: [{ name, version, resource: { typeUrl, value: bytes } }],
    });
    fields.set(resource, field = toBinary(DeltaDiscoveryResponseSchema, response));
  }
  return field;
}

/** All elements of a list that many streams are sent, in one piece: the same bytes for the same list. */
export function sharedResourcesField(resources: readonly EncodedResource[]): Uint8Array {
  if (resources.length === 0) return nothing;
  if (resources.length === 1) return resourceField(resources[0]);
  let bytes = sharedFields.get(resources);
  if (bytes === undefined) {
    const parts = resources.map(resourceField);
    bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const part of parts) {
      bytes.set(part, at);
      at += part.length;
    }
    sharedFields.set(resources, bytes);
  }
  return bytes;
}
