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
  new ControlChannel(
    thread.loop,
    data.controlDescriptor,
    (message: ControlMessage) => {
      const errors = plane.apply(message, () => post({ kind: "drained" }));
      post({ kind: "applied", id: message.id, errors });
    },
    () => thread.loop.stop(),
  );
  post({ kind: "started" });
  thread.loop.run();
  scope.close();
};
