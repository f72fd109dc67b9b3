/**
 * Starts the server: `node start.mjs`. It prints one line of JSON with its addresses and its key,
 * and ends when its standard input does.
 *
 * The server and the real functions are bundled into one program first, with one `convex` library.
 */

import { readdirSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const functions = join(here, "..", "..", "core", "convex", "functions");
const files = readdirSync(functions, { recursive: true })
  .filter((file) => /\.(ts|js)$/.test(file) && !file.endsWith(".d.ts"))
  .map((file) => file.replaceAll("\\", "/"));
const entry = [
  `import { serve } from ${JSON.stringify(join(here, "server.ts"))};`,
  `import schema from ${JSON.stringify(join(functions, "schema.ts"))};`,
  ...files.map((file, n) => `import * as m${n} from ${JSON.stringify(join(functions, file))};`),
  `const modules = { ${files.map((file, n) => `"./${file}": async () => m${n}`).join(", ")} };`,
  `await serve(schema, modules);`,
].join("\n");

/** Let `storage.ts` have the class that convex-test keeps to itself. */
const exporting = {
  name: "exporting",
  setup(bundle) {
    bundle.onLoad({ filter: /convex-test[\\/]dist[\\/]index\.js$/ }, async ({ path }) => ({
      contents: `${await readFile(path, "utf8")}\nexport { DatabaseFake };\n`,
    }));
  },
};

const out = await mkdtemp(join(tmpdir(), "cody-convex-"));
try {
  const outfile = join(out, "server.mjs");
  await build({
    stdin: { contents: entry, resolveDir: here, sourcefile: "entry.mjs" },
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node18",
    nodePaths: [join(here, "node_modules")],
    alias: { convex: join(here, "node_modules", "convex") },
    plugins: [exporting],
    define: { "import.meta.glob": "undefined" },
    banner: {
      js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
    },
    logLevel: "error",
  });
  await import(pathToFileURL(outfile).href);
} finally {
  await rm(out, { recursive: true, force: true });
}
