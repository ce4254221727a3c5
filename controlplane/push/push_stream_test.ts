import { deepEqual, equal } from "node:assert/strict";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  type DeltaDiscoveryRequest,
  DeltaDiscoveryRequestSchema,
} from "../../routing/xds/gen/envoy/service/discovery/v3/discovery_pb.ts";
import { availableResources } from "../testing/available_resources.ts";
import { DeltaSubscription } from "./delta_subscription.ts";
import { PushStream } from "./push_stream.ts";
import { healthTypeUrl, type ResourceType, typeUrls } from "./resource_types.ts";

type Versions = Record<ResourceType, Record<string, string>>;

/** A stream whose responses are listed as `CDS +a@1 -b`, answered when the test says so. */
function streamOf(versions: Versions) {
  const state = { versions, lines: [] as string[], health: [] as string[] };
  const unanswered = new Map<ResourceType, string>();
  const stream = new PushStream<DeltaDiscoveryRequest>({
    subscribe: (type, first) => new DeltaSubscription(type, first),
    resources: () => availableResources((type) => state.versions[type]),
    send({ type, nonce, resources, removed }) {
      unanswered.set(type, nonce);
      const sent = resources.map(({ name, version }) => `+${name}@${version}`);
      state.lines.push([type, ...sent, ...removed.map((name) => `-${name}`)].join(" "));
    },
    onPush() {},
    onAcknowledge() {},
    onReject() {},
    onHealth: (healthy, reason) => state.health.push(`${healthy} ${reason}`),
    now: () => 0,
  });
  const request = (message: MessageInitShape<typeof DeltaDiscoveryRequestSchema>) =>
    stream.request(create(DeltaDiscoveryRequestSchema, message));
  return {
    state,
    stream,
    request,
    subscribe(type: ResourceType, names: string[]) {
      request({ typeUrl: typeUrls[type], resourceNamesSubscribe: names });
    },
    answer(type: ResourceType, reason?: string) {
      const errorDetail = reason === undefined ? undefined : { code: 3, message: reason };
      request({ typeUrl: typeUrls[type], responseNonce: unanswered.get(type), errorDetail });
    },
    /** The responses since the last call. */
    taken: () => state.lines.splice(0),
  };
}

const before: Versions = {
  CDS: { a: "1", b: "1" },
  EDS: { a: "1", b: "1" },
  LDS: { l: "1" },
  RDS: { r: "1" },
  SDS: {},
};

function subscribed() {
  const client = streamOf(before);
  client.subscribe("CDS", ["*"]);
  client.subscribe("EDS", ["a", "b"]);
  client.subscribe("LDS", ["*"]);
  client.subscribe("RDS", ["r"]);
  for (const type of ["CDS", "EDS", "LDS", "RDS"] as const) client.answer(type);
  deepEqual(client.taken(), ["CDS +a@1 +b@1", "EDS +a@1 +b@1", "LDS +l@1", "RDS +r@1"]);
  return client;
}

Deno.test("a change of everything goes out with clusters first and routes last", () => {
  const client = subscribed();
  client.state.versions = {
    ...before,
    CDS: { a: "2", b: "2" },
    EDS: { a: "2", b: "2" },
    LDS: { l: "2" },
    RDS: { r: "2" },
  };
  client.stream.update();
  deepEqual(client.taken(), ["CDS +a@2 +b@2", "EDS +a@2 +b@2", "LDS +l@2", "RDS +r@2"]);
});

Deno.test("a cluster goes once the routes that could point to it have been replaced", () => {
  const client = subscribed();
  client.state.versions = { ...before, CDS: { a: "1", c: "1" }, EDS: { a: "1" }, LDS: { l: "1" }, RDS: { r: "2" } };
  client.stream.update();
  deepEqual(client.taken(), ["CDS +c@1", "RDS +r@2"]);
  client.answer("CDS");
  deepEqual(client.taken(), []);
  client.answer("RDS");
  deepEqual(client.taken(), ["CDS -b", "EDS -b"]);
});

Deno.test("a cluster stays while the routes that replace those to it are refused", () => {
  const client = subscribed();
  client.state.versions = { ...before, CDS: { a: "1" }, RDS: { r: "2" } };
  client.stream.update();
  client.answer("RDS", "not implemented");
  deepEqual(client.taken(), ["RDS +r@2"]);
  client.state.versions = { ...before, CDS: { a: "1" }, RDS: { r: "3" } };
  client.stream.update();
  client.answer("RDS");
  deepEqual(client.taken(), ["RDS +r@3", "CDS -b"]);
});

Deno.test("changes while an answer is awaited are sent as one, the newest", () => {
  const client = subscribed();
  for (const version of ["2", "3", "4"]) {
    client.state.versions = { ...before, EDS: { a: version, b: "1" } };
    client.stream.update();
  }
  deepEqual(client.taken(), ["EDS +a@2"]);
  equal(client.stream.status().EDS.status, "STALE");
  client.answer("EDS");
  deepEqual(client.taken(), ["EDS +a@4"]);
});

Deno.test("health is told, and types that are not served are left alone", () => {
  const client = streamOf(before);
  client.request({ typeUrl: healthTypeUrl, errorDetail: { code: 14, message: "probe failed" } });
  client.request({ typeUrl: healthTypeUrl });
  client.request({ typeUrl: "type.googleapis.com/unknown.Type", resourceNamesSubscribe: ["*"] });
  deepEqual(client.state.health, ["false probe failed", "true "]);
  deepEqual(client.taken(), []);
});

Deno.test("clusters that are replaced are sent their endpoints anew, which they wait for", () => {
  const client = subscribed();
  client.state.versions = { ...before, CDS: { a: "2", b: "1" } };
  client.stream.update();
  deepEqual(client.taken(), ["CDS +a@2", "EDS +a@1"]);
});
