import { deepEqual, equal } from "node:assert/strict";
import type { ListenerConfig } from "../config/model.ts";
import type { Change } from "../discovery/make_before_break.ts";
import { VirtualListeners } from "./virtual_listeners.ts";

function listener(address: string, port: number, service?: string): ListenerConfig {
  return {
    name: `${address}_${port}`,
    address,
    port,
    direction: "outbound",
    ...(service === undefined ? {} : { service }),
    filterChains: [],
    accessLog: [],
  };
}

function change(listeners: ListenerConfig[], removedListeners: string[] = []): Change {
  return {
    clusters: [],
    removedClusters: [],
    endpoints: [],
    routes: [],
    removedRoutes: [],
    listeners,
    removedListeners,
  };
}

Deno.test("what somebody else listens on is left out, and taken when it is free", () => {
  const taken = Deno.listen({ hostname: "127.64.9.1", port: 0 });
  const { port } = taken.addr as Deno.NetAddr;
  const virtual = new VirtualListeners("web");
  const mine = listener("127.64.9.2", port, "a.example");
  const others = listener("127.64.9.1", port, "b.example");
  // A listener that is for no service is the workload's own: it must fail aloud.
  const own = listener("127.64.9.1", port);
  deepEqual(virtual.admit(change([mine, others, own])).listeners, [mine, own]);
  deepEqual([...virtual.unbound], ["127.64.9.1"]);
  deepEqual(virtual.retry(), []);
  taken.close();
  deepEqual(virtual.retry(), [others]);
  equal(virtual.unbound.size, 0);
});

Deno.test("a listener of ours that changes stays, though we listen there", () => {
  const virtual = new VirtualListeners("web");
  const taken = Deno.listen({ hostname: "127.64.9.3", port: 0 });
  const { port } = taken.addr as Deno.NetAddr;
  taken.close();
  const mine = listener("127.64.9.3", port, "a.example");
  virtual.admit(change([mine]));
  using _ours = Deno.listen({ hostname: "127.64.9.3", port });
  deepEqual(virtual.admit(change([mine])).listeners, [mine]);
  deepEqual(virtual.admit(change([], [mine.name])).listeners, []);
  deepEqual(virtual.admit(change([mine])).listeners, []);
});
