/** A backend for tests, and short ways to make what is stored in it. */

import { convexTest, type TestConvex } from "convex-test";
import type { FunctionArgs } from "convex/server";

import { api as publicApi, internal } from "../functions/_generated/api";
import schema from "../functions/schema";

export const modules = import.meta.glob("../functions/**/*.{ts,js}");
export { internal, publicApi };

export type Backend = TestConvex<typeof schema>;
type Save = FunctionArgs<typeof internal.runs.save>;

export function backend(): Backend {
  return convexTest({ schema, modules, transactionLimits: true });
}

export async function made(t: Backend, threadId = "t", fields = {}): Promise<void> {
  const thread = { threadId, token: `make ${threadId}`, hidden: false, title: "T", text: "t" };
  const times = { createdAt: 1, updatedAt: 1, tags: [] as string[] };
  await t.mutation(internal.threads.create, { ...thread, ...times, ...fields });
}

export function row(position: number, json = `{"at":${position}}`, fields = {}): Save["rows"][0] {
  const size = json.length;
  return { kind: "output", position, json, text: "", size, parts: 0, texts: 0, ...fields };
}

let saves = 0;

/** Return a save of a run with these output rows, the last of it unless said otherwise. */
export function save(rows: Save["rows"], run: Partial<Save["run"]> = {}, more: Partial<Save> = {}): Save {
  const state = {
    ...{ runId: "r", threadId: "t", status: "in_progress", createdAt: 1, updatedAt: 2 },
    ...{ modelId: "m", providerId: "p", version: "1-0", header: "{}", inputs: 0 },
  };
  saves += 1;
  return {
    ...{ run: { ...state, outputs: rows.length, ...run }, token: `save ${saves}`, tail: 0 },
    ...{ whole: true, rows, chunks: [], parcels: [], ...more },
  };
}

/** Return the JSON of the output items of a run as they are read, by position. */
export async function outputs(t: Backend, runId = "r"): Promise<string[]> {
  const found = new Map<number, [number, string]>();
  let after: FunctionArgs<typeof internal.runs.get>["after"];
  for (;;) {
    const page = await t.query(internal.runs.get, after ? { runId, after } : { runId });
    if (page === null) return [];
    for (const { kind, stage, position, json } of page.rows) {
      const rank = stage === "" ? 0 : page.stages.indexOf(stage) + 1;
      const known = found.get(position)?.[0] ?? -1;
      if (kind === "output" && rank > known) found.set(position, [rank, json]);
    }
    if (page.next === null) break;
    after = page.next;
  }
  return [...found].sort(([left], [right]) => left - right).map(([, [, json]]) => json);
}

export async function count(t: Backend, table: keyof typeof schema.tables): Promise<number> {
  return await t.run(async (ctx) => (await ctx.db.query(table).collect()).length);
}
