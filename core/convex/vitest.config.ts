import { defineConfig } from "vitest/config";

/** Let `lookUp` have the class that convex-test keeps to itself. */
const exporting = {
  name: "exporting",
  transform(code: string, id: string) {
    if (/convex-test[\\/]dist[\\/]index\.js$/.test(id)) return `${code}\nexport { DatabaseFake };\n`;
    return undefined;
  },
};

export default defineConfig({
  plugins: [exporting],
  resolve: { dedupe: ["convex-test"] },
  test: {
    include: ["tests/**/*.test.ts"],
    setupFiles: ["tests/setup.ts"],
    server: { deps: { inline: ["convex-test"] } },
  },
});
