import { deepEqual, equal, match, ok, rejects, throws } from "node:assert/strict";
import { Buffer } from "node:buffer";
import { join } from "node:path";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Client, credentials, type ServiceError, status } from "@grpc/grpc-js";
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
import { peerIdentity } from "./peer_identity.ts";
import { signingService } from "./signing_service.ts";

const trustDomain = "cluster.local";
const signingPath = "/istio.v1.auth.IstioCertificateService/CreateCertificate";
const hour = 3600_000;
const reviews = parseServiceAccount("default/bookinfo-reviews", trustDomain);
const ratings = parseServiceAccount("default/bookinfo-ratings", trustDomain);

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
  const root = Buffer.from(authority.trustBundle());
  const server = await startGrpcServer({
    listen: { host: "127.0.0.1", port: 0 },
    identity: { chain: chain.join(""), privateKey, trustBundle: authority.trustBundle() },
    methods: [signingService(authority)],
    keepalive: { interval: 10_000, timeout: 5_000 },
    drainTime: 0,
  });
  const { port } = server;
  const clients: Client[] = [];
  return {
    dataDir: directory.path,
    authority,
    clock,
    target: `127.0.0.1:${port}`,
    async join(id = reviews): Promise<ClientIdentity> {
      const { csrPem, privateKeyPem } = await createCertificateSigningRequest(id);
      return { chain: (await authority.signWorkload(csrPem, id)).chain.join(""), key: privateKeyPem };
    },
    connect(identity?: ClientIdentity): Client {
      const key = identity && Buffer.from(identity.key);
      const client = new Client(
        `127.0.0.1:${port}`,
        credentials.createSsl(root, key, identity && Buffer.from(identity.chain)),
        // This client cannot verify an address, only a name; agents use fetch, which can.
        { "grpc.ssl_target_name_override": "localhost" },
      );
      clients.push(client);
      return client;
    },
    async [Symbol.asyncDispose]() {
      clients.forEach((client) => client.close());
      await server.shutdown();
      await directory[Symbol.asyncDispose]();
    },
  };
}

function renew(client: Client, csr: string, validityDuration = 0n): Promise<IstioCertificateResponse> {
  const request = create(IstioCertificateRequestSchema, { csr, validityDuration });
  return new Promise((resolve, reject) =>
    client.makeUnaryRequest(
      signingPath,
      (message) => Buffer.from(toBinary(IstioCertificateRequestSchema, message)),
      (bytes) => fromBinary(IstioCertificateResponseSchema, bytes),
      request,
      { deadline: Date.now() + 20_000 },
      (error: ServiceError | null, response) => error ? reject(error) : resolve(response!),
    )
  );
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
  await rejects(renew(client, csrPem, -1n), { code: status.INVALID_ARGUMENT });
});

Deno.test("a workload cannot get another's identity, whatever its request names", async () => {
  await using mesh = await controlPlane();
  const client = mesh.connect(await mesh.join(reviews));
  const { csrPem } = await createCertificateSigningRequest(ratings);
  await rejects(renew(client, csrPem), { code: status.INVALID_ARGUMENT, details: /names other than/ });
  await rejects(renew(client, "not a request"), { code: status.INVALID_ARGUMENT });

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
  await rejects(renew(mesh.connect(), csrPem), { code: status.UNAVAILABLE });
  await rejects(renew(mesh.connect(await other.join()), csrPem), { code: status.UNAVAILABLE });
});

Deno.test("where TLS let a stranger in, the call would not", async () => {
  await using mesh = await controlPlane();
  await using other = await controlPlane();
  const stranger = decodePem((await other.join()).chain, "CERTIFICATE")[0];
  const call = { remote: "127.0.0.1:1", certificate: stranger };
  throws(() => peerIdentity(call, mesh.authority), { code: status.UNAUTHENTICATED });
});

Deno.test("a connection that outlives its certificate renews no more", async () => {
  await using mesh = await controlPlane();
  const client = mesh.connect(await mesh.join());
  const { csrPem } = await createCertificateSigningRequest(reviews);
  await renew(client, csrPem);
  mesh.clock.offset = 2 * hour;
  await rejects(renew(client, csrPem), (error: ServiceError) => {
    equal(error.code, status.UNAUTHENTICATED);
    match(error.details, /expired/);
    return true;
  });
});

Deno.test("an agent's own client, fetch over HTTP/2, renews as well", async () => {
  await using mesh = await controlPlane();
  const identity = await mesh.join();
  const { csrPem } = await createCertificateSigningRequest(reviews);
  const message = toBinary(IstioCertificateRequestSchema, create(IstioCertificateRequestSchema, { csr: csrPem }));
  const frame = new Uint8Array(5 + message.length);
  new DataView(frame.buffer).setUint32(1, message.length);
  frame.set(message, 5);
  using client = Deno.createHttpClient({
    caCerts: [mesh.authority.trustBundle()],
    cert: identity.chain,
    key: identity.key,
  });
  const response = await fetch(`https://${mesh.target}${signingPath}`, {
    method: "POST",
    headers: { "content-type": "application/grpc", te: "trailers" },
    body: frame,
    client,
  });
  const answer = new Uint8Array(await response.arrayBuffer());
  const { certChain } = fromBinary(IstioCertificateResponseSchema, answer.subarray(5));
  deepEqual(readCertificate(certChain[0]).spiffeId, reviews);
});
