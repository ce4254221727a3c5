/** An independent look at TLS: the openssl program as client of an agent's inbound port. */

/** PEM files of a certificate chain and its key. */
export interface CertificateFiles {
  chain: string;
  key: string;
}

export interface TlsProbe {
  /** Everything that openssl printed. */
  output: string;
  /** What came back for the request that was sent after the handshake; empty: nothing. */
  response: string;
}

export interface TlsProbeOptions {
  address: string;
  port: number;
  sni: string;
  /** PEM files; null: no client certificate is sent. */
  certificate: CertificateFiles | null;
  alpn?: string;
}

/**
 * Connects, sends one HTTP request, and returns what was seen. Nothing is verified on this side: what the server
 * shows and accepts is what is looked at.
 * @throws {Error} when there is no openssl program.
 */
export async function probeTls(options: TlsProbeOptions): Promise<TlsProbe> {
  const { address, port, sni, certificate, alpn } = options;
  const child = command([
    "s_client",
    "-connect",
    `${address}:${port}`,
    "-servername",
    sni,
    "-showcerts",
    "-ign_eof",
    ...(alpn === undefined ? [] : ["-alpn", alpn]),
    ...(certificate === null
      ? []
      : ["-cert", certificate.chain, "-key", certificate.key, "-cert_chain", certificate.chain]),
  ]).spawn();
  const writer = child.stdin.getWriter();
  const request = "GET /headers HTTP/1.1\r\nhost: details:9080\r\nconnection: close\r\n\r\n";
  // The peer may have closed already: that it refused is in the output.
  await writer.write(new TextEncoder().encode(request)).then(() => writer.close()).catch(() => {});
  const timer = setTimeout(() => child.kill("SIGKILL"), 5_000);
  const { stdout, stderr } = await child.output();
  clearTimeout(timer);
  const decoder = new TextDecoder();
  const output = decoder.decode(stdout) + decoder.decode(stderr);
  const start = output.indexOf("HTTP/1.1 ");
  return { output, response: start < 0 ? "" : output.slice(start) };
}

/** The text form of the first certificate in what {@link probeTls} printed. */
export async function certificateText(output: string): Promise<string> {
  const pem = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/.exec(output)?.[0];
  if (pem === undefined) throw new Error(`the server showed no certificate: ${output.slice(0, 400)}`);
  return await openssl(["x509", "-noout", "-text"], pem);
}

/** Makes a key and a certificate that nobody signed but itself, for the given URI SAN. */
export async function selfSigned(directory: string, uri: string): Promise<CertificateFiles> {
  const files = { chain: `${directory}/self-signed.pem`, key: `${directory}/self-signed-key.pem` };
  await openssl([
    ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1"],
    ...["-subj", "/CN=stranger", "-addext", `subjectAltName=URI:${uri}`, "-keyout", files.key, "-out", files.chain],
  ]);
  return files;
}

/**
 * Runs one openssl command and returns what it prints.
 * @throws {Error} with its complaint when it fails.
 */
export async function openssl(args: string[], input = ""): Promise<string> {
  const child = command(args).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(input));
  await writer.close();
  const { code, stdout, stderr } = await child.output();
  if (code !== 0) throw new Error(`openssl ${args[0]}: ${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout);
}

function command(args: string[]): Deno.Command {
  return new Deno.Command("openssl", { args, stdin: "piped", stdout: "piped", stderr: "piped" });
}
