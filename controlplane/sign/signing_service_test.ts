import { deepEqual, equal, match, ok, rejects, throws } from "node:assert/strict";
import { join } from "node:path";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Authority } from "../../ca/authority/authority.ts";
import { parseServiceAccount } from "../../ca/spiffe/spiffe_id.ts";
import { temporaryDirectory } from "../../ca/testing/directory.ts";
import { openssl } from "../../ca/testing/openssl.ts";
import { readCertificate } from "../../ca/x509/certificate.ts";
import { decodePem } from "../../ca/x509/pem.ts";
import { createCertificateSigningRequest } from "../../ca/x509/signing_request.ts";
import {
  IstioCertificateRequestSchema,
  type IstioCertificateResponse,
  IstioCertificateResponseSchema,
} from "../../routing/xds/gen/istio/v1/auth/ca_pb.ts";
import { startGrpcServer } from "../grpc/grpc_server.ts";
import { frameMessage } from "../grpc/messages.ts";
import { GrpcError, Status } from "../grpc/status.ts";
import { peerIdentity } from "./peer_identity.ts";
import { signingService } from "./signing_service.ts";

const trustDomain = "cluster.local";
const signingPath = "/istio.v1.auth.IstioCertificateService/CreateCertificate";
const hour = 3600_000;
const reviews = parseServiceAccount("default/bookinfo-reviews", trustDomain);
const ratings = parseServiceAccount("default/bookinfo-ratings", trustDomain);

interface Connection {
  client: Deno.HttpClient;
  url: string;
}

interface ClientIdentity {
  chain: string;
  key: string;
}

/** A gRPC server with mutual TLS and the signing service, on a free port of loopback. */
async function controlPlane() {
  const directory = await temporaryDirectory();
  const clock = { offset: 0 };
  const authority = await Authority.open({
    dataDir: directory.path,
    trustDomain,
    workloadTtl: hour,
    now: () => Date.now() + clock.offset,
  });
  const { chain, privateKey } = await authority.issueServerCertificate(["127.0.0.1", "localhost"], hour);
  const server = await startGrpcServer({
    listen: { host: "127.0.0.1", port: 0 },
    identity: { chain: chain.join(""), privateKey, trustBundle: authority.trustBundle() },
    methods: [signingService(authority)],
    keepalive: { interval: 10_000, timeout: 5_000 },
    drainTime: 0,
  });
  const { port } = server;
  const clients: Deno.HttpClient[] = [];
  return {
    dataDir: directory.path,
    authority,
    clock,
    async join(id = reviews): Promise<ClientIdentity> {
      const { csrPem, privateKeyPem } = await createCertificateSigningRequest(id);
      return { chain: (await authority.signWorkload(csrPem, id)).chain.join(""), key: privateKeyPem };
    },
    connect(identity?: ClientIdentity): Connection {
      const client = Deno.createHttpClient({
        caCerts: [authority.trustBundle()],
        ...(identity && { cert: identity.chain, key: identity.key }),
      });
      clients.push(client);
      return { client, url: `https://127.0.0.1:${port}${signingPath}` };
    },
    async [Symbol.asyncDispose]() {
      clients.forEach((client) => client.close());
      await server.shutdown();
      await directory[Symbol.asyncDispose]();
    },
  };
}

/** @throws {GrpcError} with the status of the answer, {TypeError} when there is no connection */
async function renew(
  { client, url }: Connection,
  csr: string,
  validityDuration = 0n,
): Promise<IstioCertificateResponse> {
  const request = create(IstioCertificateRequestSchema, { csr, validityDuration });
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/grpc", te: "trailers" },
    body: frameMessage(toBinary(IstioCertificateRequestSchema, request)),
    client,
  });
  const answer = new Uint8Array(await response.arrayBuffer());
  const status = response.headers.get("grpc-status");
  if (status === null) return fromBinary(IstioCertificateResponseSchema, answer.subarray(5));
  const details = decodeURIComponent(response.headers.get("grpc-message") ?? "");
  throw new GrpcError(Number(status) as Status, details);
}

Deno.test("a workload renews its certificate with the one it has, and with the new one again", async () => {
  await using mesh = await controlPlane();
  let identity = await mesh.join();
  for (let i = 0; i < 2; i++) {
    const { csrPem, privateKeyPem } = await createCertificateSigningRequest(reviews);
    const { certChain } = await renew(mesh.connect(identity), csrPem);
    deepEqual(readCertificate(certChain[0]).spiffeId, reviews);
    equal(certChain.at(-1), mesh.authority.trustBundle());
    const root = join(mesh.dataDir, "root.pem");
    await Deno.writeTextFile(root, certChain.at(-1)!);
    const verdict = await openssl(["verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", root], certChain[0]);
    ok(verdict.ok, verdict.text);
    identity = { chain: certChain.join(""), key: privateKeyPem };
  }
});

Deno.test("a shorter lifetime may be asked for, a longer one is capped, a negative one is refused", async () => {
  await using mesh = await controlPlane();
  const client = mesh.connect(await mesh.join());
  const { csrPem } = await createCertificateSigningRequest(reviews);
  const lifetime = async (seconds: bigint) => {
    const started = Date.now();
    const { certChain } = await renew(client, csrPem, seconds);
    return { started, end: readCertificate(certChain[0]).notAfter.getTime(), answered: Date.now() };
  };
  const short = await lifetime(600n);
  ok(short.end > short.started + 600_000 - 1000 && short.end <= short.answered + 600_000);
  const long = await lifetime(1_000_000n);
  ok(long.end > long.started + hour - 1000 && long.end <= long.answered + hour);
  await rejects(renew(client, csrPem, -1n), { code: Status.invalidArgument });
});

Deno.test("a workload cannot get another's identity, whatever its request names", async () => {
  await using mesh = await controlPlane();
  const client = mesh.connect(await mesh.join(reviews));
  const { csrPem } = await createCertificateSigningRequest(ratings);
  await rejects(renew(client, csrPem), { code: Status.invalidArgument, details: /names other than/ });
  await rejects(renew(client, "not a request"), { code: Status.invalidArgument });

  const unnamed = await openssl([
    "req",
    "-new",
    "-newkey",
    "rsa:2048",
    "-nodes",
    "-subj",
    "/CN=ratings",
    "-keyout",
    "-",
  ]);
  const csr = /-----BEGIN CERTIFICATE REQUEST-----[^]*-----END CERTIFICATE REQUEST-----/.exec(unnamed.text)![0];
  const { certChain } = await renew(client, csr);
  deepEqual(readCertificate(certChain[0]).spiffeId, reviews);
});

Deno.test("TLS refuses a client without certificate, and one with another authority's", async () => {
  await using mesh = await controlPlane();
  await using other = await controlPlane();
  const { csrPem } = await createCertificateSigningRequest(reviews);
  await renew(mesh.connect(await mesh.join()), csrPem);
  await rejects(renew(mesh.connect(), csrPem), TypeError);
  await rejects(renew(mesh.connect(await other.join()), csrPem), TypeError);
});

Deno.test("where TLS let a stranger in, the call would not", async () => {
  await using mesh = await controlPlane();
  await using other = await controlPlane();
  const stranger = decodePem((await other.join()).chain, "CERTIFICATE")[0];
  const call = { remote: "127.0.0.1:1", certificate: stranger };
  throws(() => peerIdentity(call, mesh.authority), { code: Status.unauthenticated });
});

Deno.test("a connection that outlives its certificate renews no more", async () => {
  await using mesh = await controlPlane();
  const client = mesh.connect(await mesh.join());
  const { csrPem } = await createCertificateSigningRequest(reviews);
  await renew(client, csrPem);
  mesh.clock.offset = 2 * hour;
  await rejects(renew(client, csrPem), (error: GrpcError) => {
    equal(error.code, Status.unauthenticated);
    match(error.details, /expired/);
    return true;
  });
});
