/**
 * A data thread that proxies nothing: it blocks on its control channel as the real one does, answers every message, and
 * misbehaves when a message asks for it by the name of a secret.
 */
import { libc } from "../../sys/libc.ts";
import type { ControlMessage, DataThreadMessage, DataThreadStart } from "../../config/model.ts";

// Inside a worker the global object has the same two halves as the Worker object outside.
const channel = globalThis as unknown as Pick<Worker, "postMessage" | "onmessage">;
const say = (message: DataThreadMessage) => channel.postMessage(message);

channel.onmessage = (event: MessageEvent<DataThreadStart>) => {
  const start = event.data;
  const metrics = new Float64Array(start.metrics);
  say({ kind: "started" });
  say({ kind: "series", slot: 3, metric: "istio_requests_total", labels: { reporter: "source" } });
  const read = (length: number): Uint8Array => {
    const bytes = new Uint8Array(length);
    for (let filled = 0; filled < length;) {
      const count = libc.recv(start.controlDescriptor, bytes.subarray(filled), length - filled, 0);
      if (count <= 0) throw new Error("the control channel ended");
      filled += count;
    }
    return bytes;
  };
  for (;;) {
    const length = new DataView(read(4).buffer).getUint32(0, true);
    const message = JSON.parse(new TextDecoder().decode(read(length))) as ControlMessage;
    metrics[3]++;
    if (message.kind === "drain") say({ kind: "drained" });
    const wish = message.kind === "secret" ? message.secret.name : "";
    if (wish === "crash") throw new Error("asked to crash");
    const told = `${message.kind}:${message.kind === "resources" ? message.clusters.map((c) => c.slot) : ""}`;
    say({ kind: "applied", id: message.id, errors: wish === "complain" ? [`thread says ${told}`] : [] });
  }
};
