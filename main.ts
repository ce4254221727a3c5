/** skiff: reads the command line and starts one role or one command. */
import { run } from "./cli/run.ts";

Deno.exit(await run(Deno.args, Deno.env.toObject()));
