/** Certificates outside the mesh: a root of the test's own, and what it signs, by the openssl command. */

export interface Certificate {
  /** PEM. */
  certificate: string;
  privateKey: string;
}

export async function openssl(directory: string, ...args: string[]): Promise<string> {
  const run = await new Deno.Command("openssl", { args, cwd: directory, stdin: "null" }).output();
  const text = new TextDecoder().decode(run.stdout);
  if (!run.success) throw new Error(`openssl ${args.join(" ")}: ${new TextDecoder().decode(run.stderr)}`);
  return text;
}

/** A root certificate in a directory that goes with it. */
export class TestRoot implements AsyncDisposable {
  private constructor(readonly directory: string, readonly certificate: string) {}

  static async make(): Promise<TestRoot> {
    const directory = await Deno.makeTempDir();
    const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    await openssl(directory, "req", "-x509", ...key, "-keyout", "root.key", "-out", "root.pem", "-subj", "/CN=root");
    return new TestRoot(directory, await Deno.readTextFile(`${directory}/root.pem`));
  }

  /** A certificate for names such as `DNS:a.example`, in the files `NAME.pem` and `NAME.key`. */
  async issue(name: string, subjectAltName: string, type: "ec" | "rsa" = "ec"): Promise<Certificate> {
    const { directory } = this;
    const kind = type === "ec" ? ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"] : ["rsa:2048"];
    const key = ["-newkey", ...kind, "-nodes"];
    await openssl(directory, "req", ...key, "-keyout", `${name}.key`, "-out", `${name}.csr`, "-subj", `/CN=${name}`);
    await Deno.writeTextFile(`${directory}/${name}.ext`, `subjectAltName=${subjectAltName}\n`);
    const signing = ["-CA", "root.pem", "-CAkey", "root.key", "-CAcreateserial", "-extfile", `${name}.ext`];
    await openssl(directory, "x509", "-req", "-in", `${name}.csr`, ...signing, "-out", `${name}.pem`);
    return {
      certificate: await Deno.readTextFile(`${directory}/${name}.pem`),
      privateKey: await Deno.readTextFile(`${directory}/${name}.key`),
    };
  }

  /** A list of the root's that revokes these certificates; the file's path. */
  async revocationList(...names: string[]): Promise<string> {
    const { directory } = this;
    const file = `${directory}/${names.join("-") || "none"}.crl`;
    await Deno.writeTextFile(`${directory}/index`, "");
    await Deno.writeTextFile(
      `${directory}/ca.conf`,
      "[ca]\ndefault_ca=own\n[own]\ndatabase=index\ndefault_md=sha256\ndefault_crl_days=1\n",
    );
    const ca = ["ca", "-config", "ca.conf", "-cert", "root.pem", "-keyfile", "root.key"];
    for (const name of names) await openssl(directory, ...ca, "-revoke", `${name}.pem`);
    await openssl(directory, ...ca, "-gencrl", "-out", file);
    return file;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.directory, { recursive: true });
  }
}

/**
 * What `openssl s_client` says of a connection and what comes over it, until `enough` stands in it or the server closes;
 * for at most 3 s.
 */
export async function client(
  root: TestRoot,
  port: number,
  args: string[],
  send = "",
  enough = send === "" ? /Verify return code/ : /^hello/m,
): Promise<string> {
  const process = new Deno.Command("openssl", {
    args: ["s_client", "-connect", `127.0.0.1:${port}`, "-CAfile", "root.pem", ...args],
    cwd: root.directory,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = process.stdin.getWriter();
  await writer.write(new TextEncoder().encode(send)).catch(() => {});
  const timer = setTimeout(() => writer.close().catch(() => {}), 3000);
  const errors = new Response(process.stderr).text();
  let said = "";
  for await (const part of process.stdout.pipeThrough(new TextDecoderStream())) {
    said += part;
    if (enough.test(said)) await writer.close().catch(() => {});
  }
  clearTimeout(timer);
  await writer.close().catch(() => {});
  await process.status;
  return said + await errors;
}
