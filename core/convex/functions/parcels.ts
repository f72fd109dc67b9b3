/**
 * Parcels: parts of a save that is too large for one mutation.
 *
 * A parcel is stored by one mutation and counts for nothing by itself. Chunks come to count when a
 * row refers to them, rows when a save names their parcel: that is one mutation, however much it
 * was. Afterwards the rows are sorted in, a few at a time, which changes nothing of what is read.
 */

import { v } from "convex/values";

import { internal } from "./_generated/api";
import type { Doc } from "./_generated/dataModel";
import { internalMutation, type MutationCtx } from "./_generated/server";
import { Budget } from "./limits";
import { at, dropBodies, rank, remove, runOf } from "./rows";
import { chunk, row } from "./schema";
import { threadOf } from "./threadRows";

/** Milliseconds after which a parcel of rows that no save named is removed. */
const ROWS_MS = 3_600_000;
/** The same for chunks, which rows that are still there may refer to. */
const CHUNKS_MS = 2 * ROWS_MS;

/** Store a parcel, of rows or of chunks; tell whether there is a thread that it may be for. */
export const store = internalMutation({
  args: {
    parcel: v.string(),
    threadId: v.string(),
    runId: v.string(),
    rows: v.array(row),
    chunks: v.array(chunk),
  },
  handler: async (ctx, { parcel, threadId, runId, rows, chunks }) => {
    const thread = await threadOf(ctx, threadId);
    if (thread === null || thread.status === "deleted") return false;
    if (await isStored(ctx, parcel)) return true;
    for (const fields of rows) await ctx.db.insert("items", { runId, stage: parcel, ...fields });
    for (const fields of chunks) await ctx.db.insert("chunks", { parcel, ...fields });
    const wait = chunks.length > 0 ? CHUNKS_MS : ROWS_MS;
    await ctx.scheduler.runAfter(wait, internal.parcels.sweep, { parcel });
    return true;
  },
});

/** Tell whether a parcel is there; it is there as a whole or not at all. */
export async function isStored(ctx: MutationCtx, parcel: string): Promise<boolean> {
  const first = await ctx.db
    .query("items")
    .withIndex("by_stage", (q) => q.eq("stage", parcel))
    .first();
  if (first !== null) return true;
  const other = await ctx.db
    .query("chunks")
    .withIndex("by_parcel", (q) => q.eq("parcel", parcel))
    .first();
  return other !== null;
}

/** Remove what of a parcel has come to nothing. */
export const sweep = internalMutation({
  args: { parcel: v.string() },
  handler: async (ctx, { parcel }) => {
    const staged = () => ctx.db.query("items").withIndex("by_stage", (q) => q.eq("stage", parcel));
    const first = await staged().first();
    const run = first && (await runOf(ctx, first.runId));
    if (run?.stages.includes(parcel)) return; // it counts, and is about to be sorted in
    for await (const doomed of staged()) await ctx.db.delete(doomed._id);
    const used = new Map<string, boolean>();
    const chunks = ctx.db.query("chunks").withIndex("by_parcel", (q) => q.eq("parcel", parcel));
    for await (const { _id, body } of chunks) {
      if (!used.has(body)) used.set(body, await isUsed(ctx, body));
      if (!used.get(body)) await ctx.db.delete(_id);
    }
  },
});

/** Remove the chunks of items that nothing refers to any more, as many as one may. */
export const clear = internalMutation({
  args: { bodies: v.array(v.string()) },
  handler: async (ctx, { bodies }) => {
    const budget = new Budget();
    const left = [...bodies];
    while (left.length > 0 && !budget.isSpent) {
      if ((await isUsed(ctx, left[0]!)) || (await clearOne(ctx, left[0]!, budget))) left.shift();
    }
    await dropBodies(ctx, left);
  },
});

/** Remove the chunks of an item; tell whether that was all of them. */
async function clearOne(ctx: MutationCtx, body: string, budget: Budget): Promise<boolean> {
  const doomed: Doc<"chunks">[] = [];
  budget.ask();
  for await (const piece of ctx.db
    .query("chunks")
    .withIndex("by_body", (q) => q.eq("body", body))) {
    budget.spend(piece.size);
    doomed.push(piece);
    if (budget.isSpent) break;
  }
  for (const piece of doomed) await ctx.db.delete(piece._id);
  return !budget.isSpent;
}

/** Sort in rows that came in parcels and remove those behind the end, as many as one may. */
export const settle = internalMutation({
  args: { runId: v.string() },
  handler: async (ctx, { runId }) => {
    const run = await runOf(ctx, runId);
    if (run === null) return;
    const budget = new Budget();
    const stages = [...run.stages];
    while (stages.length > 0 && (await sortIn(ctx, run, stages[0]!, budget))) stages.shift();
    const isDone = stages.length === 0 && (await trim(ctx, run, budget));
    await ctx.db.patch(run._id, { stages, revision: run.revision + 1 });
    if (!isDone) await ctx.scheduler.runAfter(0, internal.parcels.settle, { runId });
  },
});

/** Sort in the rows of a parcel; tell whether that was all of them. */
async function sortIn(
  ctx: MutationCtx,
  run: Doc<"runs">,
  stage: string,
  budget: Budget,
): Promise<boolean> {
  const staged: Doc<"items">[] = [];
  budget.ask();
  for await (const found of ctx.db
    .query("items")
    .withIndex("by_stage", (q) => q.eq("stage", stage))) {
    budget.spend(2 * found.size); // what it replaces may be as large
    budget.ask();
    staged.push(found);
    if (budget.isSpent) break;
  }
  const over: Doc<"items">[] = [];
  for (const found of staged) {
    if (rank(run, found) < 0) {
      over.push(found);
      continue;
    }
    const before = await at(ctx, run.runId, "", found);
    if (before !== null) over.push(before);
    await ctx.db.patch(found._id, { stage: "" });
  }
  await remove(ctx, over);
  return !budget.isSpent;
}

/** Remove output rows behind the last one; tell whether none are left. */
async function trim(ctx: MutationCtx, run: Doc<"runs">, budget: Budget): Promise<boolean> {
  const surplus: Doc<"items">[] = [];
  budget.ask();
  for await (const found of ctx.db
    .query("items")
    .withIndex("by_run", (q) =>
      q.eq("runId", run.runId).eq("kind", "output").eq("stage", "").gte("position", run.outputs),
    )) {
    budget.spend(found.size);
    surplus.push(found);
    if (budget.isSpent) break;
  }
  await remove(ctx, surplus);
  return !budget.isSpent;
}

async function isUsed(ctx: MutationCtx, body: string): Promise<boolean> {
  const found = await ctx.db
    .query("items")
    .withIndex("by_body", (q) => q.eq("body", body))
    .first();
  return found !== null;
}
