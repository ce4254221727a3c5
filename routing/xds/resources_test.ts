import { deepStrictEqual, notStrictEqual, strictEqual } from "node:assert/strict";
import { create, fromBinary } from "@bufbuild/protobuf";
import { ClusterSchema } from "./gen/envoy/config/cluster/v3/cluster_pb.ts";
import { ClusterLoadAssignmentSchema } from "./gen/envoy/config/endpoint/v3/endpoint_pb.ts";
import { contentHash } from "./content_hash.ts";
import { clusterName, parseClusterName, serverName } from "./names.ts";
import { encodeResource, TYPE_URL } from "./resources.ts";

Deno.test("an encoded resource carries its name, its type and its own bytes", () => {
  const cluster = create(ClusterSchema, { name: "outbound|80||a.example" });
  const encoded = encodeResource(cluster);
  strictEqual(encoded.name, "outbound|80||a.example");
  strictEqual(encoded.typeUrl, "type.googleapis.com/envoy.config.cluster.v3.Cluster");
  strictEqual(encoded.typeUrl, TYPE_URL.cluster);
  deepStrictEqual(fromBinary(ClusterSchema, encoded.bytes), cluster);
});

Deno.test("a load assignment is named by its cluster", () => {
  const encoded = encodeResource(create(ClusterLoadAssignmentSchema, { clusterName: "outbound|80||a.example" }));
  strictEqual(encoded.name, "outbound|80||a.example");
});

Deno.test("equal content has the same version and one object is encoded once", () => {
  const first = create(ClusterSchema, { name: "a" });
  strictEqual(encodeResource(first), encodeResource(first));
  strictEqual(encodeResource(create(ClusterSchema, { name: "a" })).version, encodeResource(first).version);
  notStrictEqual(encodeResource(create(ClusterSchema, { name: "b" })).version, encodeResource(first).version);
});

Deno.test("content hashes of small differences do not collide", () => {
  const seen = new Set<string>();
  for (let length = 0; length < 64; length++) seen.add(contentHash(new Uint8Array(length)));
  for (let position = 0; position < 64; position++) {
    for (let value = 1; value < 256; value++) {
      const bytes = new Uint8Array(64);
      bytes[position] = value;
      seen.add(contentHash(bytes));
    }
  }
  strictEqual(seen.size, 64 + 64 * 255);
});

Deno.test("cluster names are read back and other names are refused", () => {
  const name = clusterName("outbound", 9080, "v1", "reviews.default.svc.cluster.local");
  strictEqual(name, "outbound|9080|v1|reviews.default.svc.cluster.local");
  deepStrictEqual(parseClusterName(name), {
    direction: "outbound",
    port: 9080,
    subset: "v1",
    host: "reviews.default.svc.cluster.local",
  });
  deepStrictEqual(parseClusterName("inbound|9080||"), { direction: "inbound", port: 9080, subset: "", host: "" });
  for (const other of ["PassthroughCluster", "outbound|x||a", "outbound|99999||a", "sideways|80||a", "a|b|c|d|e"]) {
    strictEqual(parseClusterName(other), null, other);
  }
});

Deno.test("server names have Istio's form", () => {
  strictEqual(serverName(9080, "v1", "reviews"), "outbound_.9080_.v1_.reviews");
  strictEqual(serverName(9080, "", "reviews"), "outbound_.9080_._.reviews");
});
