import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { expect, test } from "vitest";

import { modules } from "./backend";

interface Registered {
  isPublic?: boolean;
  isInternal?: boolean;
  isQuery?: boolean;
  isMutation?: boolean;
  isAction?: boolean;
  isHttp?: boolean;
}

async function registered(): Promise<[string, Registered][]> {
  const found: [string, Registered][] = [];
  for (const [path, load] of Object.entries(modules)) {
    if (path.includes("_generated")) continue;
    for (const [name, value] of Object.entries((await load()) as Record<string, Registered>)) {
      const { isQuery, isMutation, isAction, isHttp } = value ?? {};
      if (isQuery || isMutation || isAction || isHttp) found.push([`${path}:${name}`, value]);
    }
  }
  return found;
}

test("a stranger who knows the URL can call nothing", async () => {
  const functions = await registered();
  expect(functions.length).toBeGreaterThan(15);
  const open = functions.filter(([, value]) => value.isPublic || !value.isInternal);
  expect(open.map(([path]) => path)).toEqual([]);
});

test("what is generated is of these functions", () => {
  const copy = mkdtempSync(join(tmpdir(), "cody-codegen-"));
  try {
    for (const name of ["functions", "package.json", "convex.json", "tsconfig.json"]) {
      cpSync(name, join(copy, name), { recursive: true });
    }
    symlinkSync(join(process.cwd(), "node_modules"), join(copy, "node_modules"));
    const command = ["codegen", "--system-udfs", "--typecheck", "disable"];
    execFileSync(join("node_modules", ".bin", "convex"), command, { cwd: copy, stdio: "pipe" });
    const generated = join("functions", "_generated");
    for (const name of readdirSync(generated)) {
      const fresh = readFileSync(join(copy, generated, name), "utf8");
      expect(fresh, name).toBe(readFileSync(join(generated, name), "utf8"));
    }
  } finally {
    rmSync(copy, { recursive: true });
  }
}, 60_000);
