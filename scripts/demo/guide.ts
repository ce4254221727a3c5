import type { BookinfoMesh } from "./bookinfo_mesh.ts";
import { httpProxyPort } from "./topology.ts";

/** What the demo prints when it is up: where to look, and what to try. */
export function guide(bookinfo: BookinfoMesh): string {
  const { mesh, machines } = bookinfo;
  const rows = machines.map(({ name, address, workloads }) => {
    const names = workloads.map(({ service, version }) => `${service}-${version}`).join(", ");
    return `  ${name}  ${
      address.padEnd(11)
    }  admin http://${address}:15000  metrics http://${address}:15020/stats/prometheus
        ${names}`;
  });
  const productpage = bookinfo.localAddress("productpage");
  return `
bookinfo runs on a mesh of three machines.

  product page   ${bookinfo.productPage}
  control plane  ${mesh.api}/api/v1/proxies   metrics ${mesh.api}/metrics

${rows.join("\n")}

Who is where, and what each proxy has acknowledged:
  deno task skiff proxy-status --server ${mesh.api}

Change a rule: copy one of scripts/demo/config/ over the file of the same resource in the watched directory; it is in
force in under a second. Sign in as jason on the page to see the rules that are for him.
  cp scripts/demo/config/virtual-service-reviews-test-v2.yaml ${mesh.configDir}/virtualservice-reviews.yaml
  cp scripts/demo/config/virtual-service-reviews-50-v3.yaml ${mesh.configDir}/virtualservice-reviews.yaml
  cp scripts/demo/config/virtual-service-ratings-test-delay.yaml ${mesh.configDir}/virtualservice-ratings.yaml

Ask any service as productpage does:
  http_proxy=http://${productpage}:${httpProxyPort} curl -s http://reviews:9080/reviews/0

Ctrl-C ends all of it and removes ${mesh.directory}.
`;
}
