/** Who speaks to whom: TLS version, identities on both sides, and who is refused. */
import { gatewayAccount, spiffeId } from "../topology.ts";
import { sendPlain } from "../harness/plain_request.ts";
import { certificateText, probeTls, selfSigned } from "../harness/openssl.ts";
import { metricLines } from "./observe.ts";
import { expect, type Step } from "./step.ts";

const inboundPort = 15_006;
const detailsSni = "outbound_.9080_._.details.default.svc.cluster.local";

/** Each pair that bookinfo's requests cross between two agents. */
const hops: { from: [service: string, version: string]; to: string; path: string }[] = [
  { from: ["productpage", "v1"], to: "details", path: "/headers" },
  { from: ["productpage", "v1"], to: "reviews", path: "/headers" },
  { from: ["reviews", "v2"], to: "ratings", path: "/headers" },
  { from: ["reviews", "v1"], to: "ratings", path: "/headers" },
];

const identities: Step = {
  name: "every hop carries the two right SPIFFE identities, as the applications see it",
  async run(bookinfo) {
    for (const { from: [service, version], to, path } of hops) {
      const answer = await bookinfo.caller(service, version).get(`http://${to}:9080${path}`);
      expect(answer.status === 200, `${service} to ${to}: ${answer.status} ${answer.body.slice(0, 200)}`);
      const seen = String(JSON.parse(answer.body).headers["x-forwarded-client-cert"] ?? "");
      const by = spiffeId(`bookinfo-${to}`);
      const uri = spiffeId(`bookinfo-${service}`);
      expect(seen.includes(`By=${by}`), `${service} to ${to}: no By=${by} in x-forwarded-client-cert: ${seen}`);
      expect(seen.includes(`URI=${uri}`), `${service} to ${to}: no URI=${uri} in x-forwarded-client-cert: ${seen}`);
    }
    return `x-forwarded-client-cert is right for ${hops.map(({ from, to }) => `${from.join("-")} → ${to}`).join(", ")}`;
  },
};

const principalsInMetrics: Step = {
  name: "both sides count each hop with both principals",
  async run(bookinfo) {
    for (const reporter of ["source", "destination"]) {
      for (const { from: [service], to } of hops) {
        const source = `source_principal="${spiffeId(`bookinfo-${service}`)}"`;
        const destination = `destination_principal="${spiffeId(`bookinfo-${to}`)}"`;
        const found = (await metricLines(bookinfo, "istio_requests_total")).filter((line) =>
          line.includes(`reporter="${reporter}"`) && line.includes(source) && line.includes(destination)
        );
        expect(found.length > 0, `no istio_requests_total with reporter="${reporter}", ${source}, ${destination}`);
        if (reporter === "source") continue;
        const plain = found.find((line) => !line.includes('connection_security_policy="mutual_tls"'));
        expect(plain === undefined, `not mutual TLS: ${plain}`);
      }
    }
    return `istio_requests_total has source and destination principal for ${hops.length} hops, from both reporters`;
  },
};

const everyHopInTheLog: Step = {
  name: "every hop so far was TLS 1.3 between the right two identities, as the agents logged it",
  run(bookinfo) {
    const lines = bookinfo.accessLog();
    const inbound = lines.filter(({ sni }) => sni !== null);
    const outbound = lines.filter(({ host }) => host?.endsWith(`:${inboundPort}`));
    expect(inbound.length > 100 && outbound.length > 100, `only ${inbound.length} and ${outbound.length} lines`);
    for (const line of inbound) {
      const callers = callersOf(/\.([a-z]+)\.default\.svc\.cluster\.local$/.exec(line.sni!)?.[1] ?? "");
      const right = line.tls === "TLSv1.3" && callers.includes(line.caller ?? "");
      expect(right, `${line.sni} was called by ${line.caller} over ${line.tls}`);
    }
    for (const { cluster, callee } of outbound) {
      const service = /\|([a-z]+)\.default\.svc\.cluster\.local$/.exec(cluster ?? "")?.[1];
      expect(callee === spiffeId(`bookinfo-${service}`), `${cluster} was answered by ${callee}`);
    }
    return Promise.resolve(`${inbound.length} requests taken and ${outbound.length} sent`);
  },
};

/** Who calls a service in bookinfo; the product page is called through the gateway. */
function callersOf(service: string): string[] {
  if (service === "productpage") return [spiffeId(gatewayAccount)];
  return hops.filter(({ to }) => to === service).map(({ from: [caller] }) => spiffeId(`bookinfo-${caller}`));
}

const independentLook: Step = {
  name: "between agents it is TLS 1.3, as openssl sees it",
  async run(bookinfo) {
    const seen: string[] = [];
    const certificate = await bookinfo.certificateFor("bookinfo-productpage");
    for (const [machine, service] of [["vm-2", "details"], ["vm-2", "ratings"], ["vm-3", "reviews"]]) {
      const sni = service === "reviews"
        ? "outbound_.9080_.v3_.reviews.default.svc.cluster.local"
        : `outbound_.9080_._.${service}.default.svc.cluster.local`;
      const address = bookinfo.machine(machine).address;
      const { output, response } = await probeTls({ address, port: inboundPort, sni, certificate });
      expect(/New, TLSv1\.3,|Protocol *: TLSv1\.3/.test(output), `${service}: not TLS 1.3: ${output.slice(0, 600)}`);
      expect(response.startsWith("HTTP/1.1 200"), `${service}: with a mesh certificate: ${output.slice(-600)}`);
      const text = await certificateText(output);
      const uri = spiffeId(`bookinfo-${service}`);
      expect(text.includes(`URI:${uri}`), `${service}: its certificate has no URI:${uri}`);
      seen.push(uri);
    }
    return `TLSv1.3 with ${seen.join(", ")}`;
  },
};

const strangersRefused: Step = {
  name: "a client without a mesh certificate is refused",
  async run(bookinfo) {
    const address = bookinfo.machine("vm-2").address;
    const target = { address, port: inboundPort, sni: detailsSni };
    const plain = await sendPlain(address, inboundPort, "GET /headers HTTP/1.1\r\nhost: details:9080\r\n\r\n");
    expect(!plain.startsWith("HTTP/1.1 2"), `plain HTTP on ${inboundPort} is answered: ${plain.slice(0, 200)}`);
    const without = await probeTls({ ...target, certificate: null });
    expect(without.response === "", `without a certificate: ${without.response.slice(0, 200)}`);
    const certificate = await selfSigned(bookinfo.mesh.directory, spiffeId("bookinfo-productpage"));
    const stranger = await probeTls({ ...target, certificate });
    expect(stranger.response === "", `with a self-signed certificate: ${stranger.response.slice(0, 200)}`);
    const friend = await probeTls({ ...target, certificate: await bookinfo.certificateFor("bookinfo-productpage") });
    expect(friend.response.startsWith("HTTP/1.1 200"), `with a mesh certificate: ${friend.output.slice(-400)}`);
    return "plain HTTP, TLS without a certificate, TLS with a self-signed one for the right name; the real one is let in";
  },
};

export const tlsSteps: Step[] = [identities, principalsInMetrics, everyHopInTheLog, independentLook, strangersRefused];
