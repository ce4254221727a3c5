import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

const root = join(import.meta.dirname!, "../..");
const pages = ["README.md", "ARCHITECTURE.md", "SECURITY.md"].concat(
  [...Deno.readDirSync(join(root, "docs"))].map(({ name }) => `docs/${name}`).filter((path) => path.endsWith(".md")),
);

/** The anchors that a page's headings have, as forges make them. */
function anchors(text: string): string[] {
  return [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading]) =>
    heading.toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, "").replaceAll(" ", "-")
  );
}

/** Links of a page, relative ones, that lead nowhere. */
function broken(page: string, text: string): string[] {
  const links = [...text.matchAll(/\]\(([^()\s]+)\)/g)].map(([, link]) => link);
  return links.filter((link) => !/^\w+:/.test(link)).filter((link) => {
    const [path, anchor] = link.split("#");
    const file = path === "" ? page : join(dirname(page), path);
    if (!existsSync(join(root, file))) return true;
    return anchor !== undefined && !anchors(readFileSync(join(root, file), "utf8")).includes(anchor);
  });
}

for (const page of pages) {
  Deno.test(`every link of ${page} leads somewhere`, () => {
    assert.deepEqual(broken(page, readFileSync(join(root, page), "utf8")), []);
  });
}

Deno.test("links to files and headings that are not there are found", () => {
  const text = "[a](gone.md) [b](install.md#nowhere) [c](install.md#ports) [d](https://example.com/x)";
  assert.deepEqual(broken("docs/x.md", text), ["gone.md", "install.md#nowhere"]);
});
