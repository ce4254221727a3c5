/** Writes docs/schema/ anew: `deno task schema`. */
import { schemaDocuments } from "./documents.ts";

const folder = new URL("../../docs/schema/", import.meta.url);
await Deno.remove(folder, { recursive: true }).catch((error) => {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
});
await Deno.mkdir(folder);
for (const [name, document] of schemaDocuments()) {
  await Deno.writeTextFile(new URL(name, folder), `${JSON.stringify(document, null, 1)}\n`);
}
