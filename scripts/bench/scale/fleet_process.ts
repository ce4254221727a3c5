/**
 * Child process of the scale benchmark: a part of the fleet. Its argument is a {@link FleetPart}; it reads commands
 * from standard input, one a line, and answers each with a line of JSON.
 */
import { TextLineStream } from "./text_lines.ts";
import type { Answer, Command, FleetPart } from "./fleet.ts";
import { SimulatedAgent } from "./simulated_agent.ts";
import { serviceName } from "./mesh_files.ts";

const { first, agents: count, services, identity }: FleetPart = JSON.parse(await Deno.readTextFile(Deno.args[0]));
const now = () => performance.timeOrigin + performance.now();

/** Times at which each agent had what the command waits for. */
let times: number[] = [];
let ended: string[] = [];
let awaited: string | null = null;
let done = Promise.withResolvers<void>();

const arrived = () => {
  times.push(now());
  if (times.length === count) done.resolve();
};
const agents = Array.from({ length: count }, (_, index) => {
  const n = first + index;
  const address = `127.0.${n >> 8 & 255}.${n & 255}`;
  const node = {
    agent: `vm-${n}`,
    workload: `member-${n}`,
    namespace: "default",
    serviceAccount: "bench",
    service: serviceName(n % services),
    labels: { app: serviceName(n % services), version: "v1" },
    address,
    inboundPort: 15006,
    httpProxy: { address, port: 15002 },
    vipRange: "127.64.0.0/16",
    locality: "",
    ports: [{ name: "http", number: 9080, protocol: "HTTP", targetAddress: "127.0.0.1", targetPort: 9080 }],
    version: "0.1.0",
  };
  return new SimulatedAgent(node, identity, {
    configured: () => awaited === null && arrived(),
    endpoints: (names) => awaited !== null && names.includes(awaited) && arrived(),
    ended: (reason) => ended.push(reason),
  });
});

const lines = Deno.stdin.readable.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream());
for await (const line of lines) {
  const command: Command = JSON.parse(line);
  if (command.kind === "close") {
    for (const agent of agents) agent.close();
    answer({ times: [], ended: [] });
    continue;
  }
  times = [];
  ended = [];
  done = Promise.withResolvers();
  if (command.kind === "connect") {
    awaited = null;
    for (const agent of agents) agent.connect(command.port);
  } else {
    awaited = command.cluster;
    answer({ times: [], ended: [] });
  }
  await done.promise;
  answer({ times, ended });
}

function answer(answer: Answer): void {
  console.log(JSON.stringify(answer));
}
