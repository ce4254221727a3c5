/** The real openssl program as the witness of tests. */

export interface OpensslResult {
  ok: boolean;
  /** Standard output and standard error. */
  text: string;
}

/** Runs `openssl ARGS…` with `input` on its standard input. */
export async function openssl(args: string[], input = ""): Promise<OpensslResult> {
  const child = new Deno.Command("openssl", { args, stdin: "piped", stdout: "piped", stderr: "piped" }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(input)).then(() => writer.close()).catch(() => {});
  const { success, stdout, stderr } = await child.output();
  return { ok: success, text: new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr) };
}
