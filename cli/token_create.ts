/** `skiff token create`: a join token for a new machine. */
import { parseServiceAccount, SpiffeIdError } from "../ca/spiffe/spiffe_id.ts";
import type { Command } from "./command.ts";
import { dataDirFlag, dataDirOf } from "./data_dir.ts";
import type { FlagValues } from "./flag_values.ts";
import type { TokenRequest } from "./make_token.ts";
import { callServer, serverFlag, serverUrl } from "./server.ts";
import { UsageError } from "./usage_error.ts";

const hour = 3_600_000;

export const tokenCreateCommand: Command = {
  name: "token create",
  summary: "make a join token for a new machine",
  usage: "token create --service-account NS/NAME [--service-account …] [flags]",
  description:
    `Prints a join token alone on stdout. It carries the mesh's root certificate and where to join, and lets its bearer
have certificates of the named service accounts: hand it over as you would a password.

Made from the control plane's data directory on its own machine, or by its REST API where --server is given.`,
  flags: [
    {
      name: "service-account",
      value: "NS/NAME",
      repeated: true,
      description: "an identity that the token is for; once for each",
    },
    { name: "ttl", value: "DURATION", description: "how long the token is good; default 1h" },
    { name: "uses", value: "N", description: "how many machines it admits; default 1" },
    { ...dataDirFlag, description: `the control plane's ${dataDirFlag.description}` },
    serverFlag,
  ],
  async run(flags) {
    if (flags.has("data-dir") && flags.has("server")) {
      throw new UsageError("--data-dir and --server are both given; the token is made by one of them");
    }
    const request: TokenRequest = {
      identities: serviceAccounts(flags),
      uses: flags.count("uses", 1_000_000) ?? 1,
      ttl: flags.duration("ttl") ?? hour,
    };
    console.log(
      flags.has("server") ? await tokenFrom(serverUrl(flags), request) : await tokenMadeHere(dataDirOf(flags), request),
    );
    return 0;
  },
};

function serviceAccounts(flags: FlagValues): string[] {
  const accounts = flags.list("service-account");
  if (accounts.length === 0) throw new UsageError("token create needs at least one --service-account NAMESPACE/NAME");
  for (const account of accounts) {
    try {
      // The trust domain does not matter here: only the two names are looked at.
      parseServiceAccount(account, "cluster.local");
    } catch (error) {
      if (!(error instanceof SpiffeIdError)) throw error;
      throw new UsageError(`--service-account: ${error.message}; it is written NAMESPACE/NAME`);
    }
  }
  return accounts;
}

async function tokenMadeHere(dataDir: string, request: TokenRequest): Promise<string> {
  const { makeToken } = await import("./make_token.ts");
  return await makeToken(dataDir, request);
}

async function tokenFrom(server: URL, request: TokenRequest): Promise<string> {
  const answer = await callServer(server, "/api/v1/tokens", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(request),
  });
  return String((answer as { token: unknown }).token);
}
