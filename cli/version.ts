import configuration from "../deno.json" with { type: "json" };
import type { Command } from "./command.ts";

export const version: string = configuration.version;

export const versionCommand: Command = {
  name: "version",
  summary: "print the version",
  usage: "version",
  description: "Prints skiff's version, the runtime's and the platform.",
  flags: [],
  run() {
    console.log(`skiff ${version} (deno ${Deno.version.deno}, ${Deno.build.os} ${Deno.build.arch})`);
    return Promise.resolve(0);
  },
};
