import { deepEqual, equal, notEqual, ok } from "node:assert/strict";
import type { Mesh, Service } from "../../routing/mesh.ts";
import { endpoint, mesh, node, service } from "../../routing/compile/testing/mesh.ts";
import { sharedResourcesField } from "./delta_resources.ts";
import { DeltaSubscription } from "./delta_subscription.ts";
import { ProxyResources } from "./proxy_resources.ts";
import type { ResourceType } from "./resource_types.ts";

const names = Array.from({ length: 20 }, (_, n) => `service-${n}`);
const clusterOf = (name: string) => `outbound|9080||${name}.default.svc.cluster.local`;
const services = names.map((name) => service(name, { endpoints: [endpoint(`${name}-v1`)] }));

const empty = mesh([]);

/** States of one mesh: of what does not change they have the same objects, as the registry's have. */
function meshOf(services: Service[]): Mesh {
  return { ...empty, services: new Map(services.map((each) => [each.hostname, each])) };
}

/** The first of all services with another endpoint. */
function moved(): Service[] {
  return [{ ...services[0], endpoints: [endpoint("service-0-v1", { address: "127.0.9.9" })] }, ...services.slice(1)];
}

/** A proxy that has all of a mesh; agents differ in name and address. */
function proxy(n: number) {
  const workload = node({
    agent: `vm-${n}`,
    address: `127.0.1.${n}`,
    httpProxy: { address: `127.0.1.${n}`, port: 15002 },
    vipRange: "127.64.0.0/16",
  });
  const subscriptions = new Map<ResourceType, DeltaSubscription>([
    ["CDS", subscription("CDS", ["*"])],
    ["EDS", subscription("EDS", names.map(clusterOf))],
    ["LDS", subscription("LDS", ["*"])],
  ]);
  let nonce = 0;
  return (current: Mesh) => {
    const resources = new ProxyResources(current, workload);
    return [...subscriptions].flatMap(([type, subscription]) => {
      const difference = subscription.difference(resources, false);
      if (difference === null) return [];
      subscription.sent(difference, String(++nonce), 0);
      subscription.acknowledge(String(nonce), 0);
      return [{ type, ...difference }];
    });
  };
}

function subscription(type: ResourceType, resourceNamesSubscribe: string[]): DeltaSubscription {
  return new DeltaSubscription(type, {
    resourceNamesSubscribe,
    resourceNamesUnsubscribe: [],
    initialResourceVersions: {},
  });
}

Deno.test("the first configuration of many proxies is encoded once, but for what is each one's own", () => {
  const current = meshOf(services);
  const [first, second] = [proxy(1)(current), proxy(2)(current)];
  deepEqual(first.map(({ type }) => type), ["CDS", "EDS", "LDS"]);
  for (const { shared } of first) ok(shared.length >= names.length);
  for (const [index, { shared, resources }] of first.entries()) {
    equal(shared, second[index].shared);
    equal(sharedResourcesField(shared), sharedResourcesField(second[index].shared));
    ok(resources.length <= 3, "what is a proxy's own are its proxy port and its inbound side");
  }
});

Deno.test("one endpoint's change is found out and encoded once for all, and nothing else is compiled again", () => {
  const proxies = [proxy(1), proxy(2), proxy(3)];
  const before = meshOf(services);
  for (const push of proxies) push(before);
  const after = meshOf(moved());
  const pushes = proxies.map((push) => push(after));
  for (const push of pushes) {
    deepEqual(push.map(({ type, removed, resources }) => [type, removed, resources]), [["EDS", [], []]]);
    deepEqual(push[0].shared.map(({ name }) => name), [clusterOf("service-0")]);
    equal(push[0].shared, pushes[0][0].shared);
    equal(sharedResourcesField(push[0].shared), sharedResourcesField(pushes[0][0].shared));
    equal(push[0].version, pushes[0][0].version);
  }
  const [was, is] = [before, after].map((state) => new ProxyResources(state, node({ vipRange: "127.64.0.0/16" })));
  equal(is.shared("CDS"), was.shared("CDS"));
  equal(is.shared("LDS"), was.shared("LDS"));
  notEqual(is.shared("EDS"), was.shared("EDS"));
  for (const name of names.slice(1)) {
    equal(is.resource("EDS", clusterOf(name)), was.resource("EDS", clusterOf(name)), name);
  }
});

Deno.test("a change to which nothing leads back is nothing to send", () => {
  const push = proxy(1);
  push(meshOf(services));
  deepEqual(push(meshOf([...services])), []);
});
