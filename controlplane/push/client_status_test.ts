import { deepEqual, equal, match } from "node:assert/strict";
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { ClientResourceStatus } from "../../routing/xds/gen/envoy/admin/v3/config_dump_shared_pb.ts";
import {
  ClientStatusRequestSchema,
  type ClientStatusResponse,
  ClientStatusResponseSchema,
  ConfigStatus,
} from "../../routing/xds/gen/envoy/service/status/v3/csds_pb.ts";
import { nodeId } from "../../routing/xds/node.ts";
import type { ControlPlane } from "../control_plane.ts";
import { Status } from "../grpc/status.ts";
import { AdsTestClient } from "../testing/ads_client.ts";
import { GrpcTestStream } from "../testing/grpc_test_stream.ts";
import { TestMesh, until } from "../testing/test_mesh.ts";
import { testNode } from "../testing/test_node.ts";
import { typeUrls } from "./resource_types.ts";

const cluster = "outbound|9080||reviews.default.svc.cluster.local";

/** The answers to requests on one stream; the status that ended it otherwise. */
async function ask(
  mesh: TestMesh,
  controlPlane: ControlPlane,
  serviceAccount: string,
  requests: MessageInitShape<typeof ClientStatusRequestSchema>[] = [{}],
): Promise<{ answers: ClientStatusResponse[]; status: number | null }> {
  const answers: ClientStatusResponse[] = [];
  let status: number | null = null;
  const stream = new GrpcTestStream(
    controlPlane.xdsAddress.port,
    await mesh.identity(serviceAccount),
    "/envoy.service.status.v3.ClientStatusDiscoveryService/StreamClientStatus",
    {
      message: (bytes) => answers.push(fromBinary(ClientStatusResponseSchema, bytes)),
      ended: ({ code }) => status = code,
    },
  );
  for (const request of requests) {
    stream.write(toBinary(ClientStatusRequestSchema, create(ClientStatusRequestSchema, request)));
  }
  await until(() => answers.length === requests.length || status !== null, "an answer");
  stream.close();
  return { answers, status };
}

async function withProxy(
  judge: ((type: string) => string | null) | undefined,
  run: (mesh: TestMesh, controlPlane: ControlPlane, client: AdsTestClient) => Promise<void>,
): Promise<void> {
  await TestMesh.with(async (mesh) => {
    const controlPlane = await mesh.start();
    const node = testNode();
    const identity = await mesh.identity(`${node.namespace}/${node.serviceAccount}`);
    const client = new AdsTestClient({ port: controlPlane.xdsAddress.port, identity, node, judge });
    try {
      client.subscribeAll([cluster]);
      await until(() => client.responses.some(({ type }) => type === "RDS"), "routes have come");
      await until(async () => {
        const { answers } = await ask(mesh, controlPlane, "default/bookinfo-reviews");
        return answers[0].config[0].genericXdsConfigs.some(({ typeUrl }) => typeUrl === typeUrls.CDS);
      }, "clusters are held");
      await run(mesh, controlPlane, client);
    } finally {
      client.close();
    }
  });
}

Deno.test("CSDS tells what a proxy has, each resource with version, status and content", async () => {
  await withProxy(undefined, async (mesh, controlPlane, client) => {
    const { answers } = await ask(mesh, controlPlane, "default/bookinfo-reviews", [
      {},
      { excludeResourceContents: true },
    ]);
    const [{ config: [whole] }, { config: [short] }] = answers;
    equal(whole.node?.id, nodeId(testNode()));
    const found = whole.genericXdsConfigs.find(({ name, typeUrl }) => name === cluster && typeUrl === typeUrls.CDS)!;
    equal(found.versionInfo, client.held.get("CDS")!.get(cluster)!.version);
    equal(found.configStatus, ConfigStatus.SYNCED);
    equal(found.clientStatus, ClientResourceStatus.ACKED);
    equal(found.xdsConfig?.typeUrl, typeUrls.CDS);
    deepEqual(
      new Set(whole.genericXdsConfigs.map(({ typeUrl }) => typeUrl)),
      new Set([typeUrls.CDS, typeUrls.EDS, typeUrls.LDS, typeUrls.RDS]),
    );
    deepEqual(short.genericXdsConfigs.filter(({ xdsConfig }) => xdsConfig !== undefined), []);
  });
});

Deno.test("CSDS tells a caller of the proxies of its own service account alone", async () => {
  await withProxy(undefined, async (mesh, controlPlane) => {
    deepEqual((await ask(mesh, controlPlane, "default/bookinfo-ratings")).answers[0].config, []);
    const other = { nodeMatchers: [{ nodeId: { matchPattern: { case: "exact" as const, value: "another" } } }] };
    deepEqual((await ask(mesh, controlPlane, "default/bookinfo-reviews", [other])).answers[0].config, []);
    const unserved = { nodeMatchers: [{ nodeId: { matchPattern: { case: "prefix" as const, value: "a" } } }] };
    equal((await ask(mesh, controlPlane, "default/bookinfo-reviews", [unserved])).status, Status.invalidArgument);
  });
});

Deno.test("CSDS tells what a proxy has refused, and proxy-config shows the same to this machine", async () => {
  const judge = (type: string) => type === "CDS" ? "clusters[0]: not implemented" : null;
  await TestMesh.with(async (mesh) => {
    const controlPlane = await mesh.start();
    const node = testNode();
    const identity = await mesh.identity(`${node.namespace}/${node.serviceAccount}`);
    let refused = false;
    const client = new AdsTestClient({
      port: controlPlane.xdsAddress.port,
      identity,
      node,
      judge: (type) => refused ? judge(type) : null,
    });
    try {
      client.subscribeAll([cluster]);
      await until(() => client.held.get("CDS")?.has(cluster) === true, "clusters have come");
      refused = true;
      await mesh.write(
        "rule.yaml",
        `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: reviews }
spec: { host: reviews, subsets: [ { name: v1, labels: { version: v1 } } ] }
`,
      );
      const state = async () => (await ask(mesh, controlPlane, "default/bookinfo-reviews")).answers[0].config[0];
      const clusters = async () => (await state()).genericXdsConfigs.filter(({ typeUrl }) => typeUrl === typeUrls.CDS);
      await until(async () => (await clusters())[0].configStatus === ConfigStatus.ERROR, "the refusal is told");
      const [one] = await clusters();
      equal(one.clientStatus, ClientResourceStatus.NACKED);
      match(one.errorState?.details ?? "", /clusters\[0\]: not implemented/);
      const api = `http://127.0.0.1:${controlPlane.httpAddress.port}/api/v1/proxies`;
      const views = await (await fetch(`${api}/${node.agent}/config/clusters`)).json();
      equal(views[0].status, "NACK");
      equal(views.some(({ name }: { name: string }) => name === cluster), true);
      const listeners = await (await fetch(`${api}/${node.workload}.${node.namespace}/config/listeners`)).json();
      equal(listeners[0].resource.name, listeners[0].name);
      for (const path of ["nobody/config/clusters", `${node.agent}/config/keys`]) {
        const answer = await fetch(`${api}/${path}`);
        equal(answer.status, 404, path);
        await answer.body?.cancel();
      }
    } finally {
      client.close();
    }
  });
});
