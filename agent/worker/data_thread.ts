/** Entry of a data thread (a Web Worker): takes its start message, then runs its own loop for as long as it lives. */
import type { ControlMessage, DataThreadMessage, DataThreadStart } from "../config/model.ts";
import { raiseOpenFileLimit } from "../sys/libc.ts";
import { ControlChannel } from "./control_channel.ts";
import { DataPlane } from "./data_plane.ts";
import { DataThread } from "./thread.ts";

/** The worker's global scope, as far as it is used here. */
const scope = self as unknown as {
  onmessage: ((event: MessageEvent<DataThreadStart>) => void) | null;
  postMessage(message: DataThreadMessage): void;
  close(): void;
};

scope.onmessage = ({ data }) => {
  raiseOpenFileLimit();
  const post = (message: DataThreadMessage) => scope.postMessage(message);
  const thread = new DataThread(data, post);
  const plane = new DataPlane(thread);
  const apply = (message: ControlMessage): string[] => {
    try {
      return plane.apply(message, () => post({ kind: "drained" }));
    } catch (error) {
      // Whoever sent it waits for an answer.
      thread.fault(error);
      return [error instanceof Error ? error.message : String(error)];
    }
  };
  new ControlChannel(
    thread.loop,
    data.controlDescriptor,
    (message) => post({ kind: "applied", id: message.id, errors: apply(message) }),
    () => thread.loop.stop(),
  );
  post({ kind: "started" });
  try {
    thread.loop.run();
  } finally {
    // The sockets are the process's: left open, they would go on taking connections that nobody serves.
    plane.close();
    thread.loop.close();
  }
  scope.close();
};
