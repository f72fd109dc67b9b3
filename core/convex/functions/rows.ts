/** The rows of a run: which of them count, how one is put in place, how they are cleared away. */

import { internal } from "./_generated/api";
import type { Doc } from "./_generated/dataModel";
import type { MutationCtx, QueryCtx } from "./_generated/server";
import { Budget } from "./limits";

export type Row = Omit<Doc<"items">, "_id" | "_creationTime" | "runId" | "stage">;

/** Return a run. */
export function runOf(ctx: QueryCtx, runId: string): Promise<Doc<"runs"> | null> {
  return ctx.db
    .query("runs")
    .withIndex("by_run", (q) => q.eq("runId", runId))
    .unique();
}

/** Return how much a row counts among those at its place, or -1 if it does not count at all. */
export function rank(run: Doc<"runs">, row: Doc<"items">): number {
  const ends = { header: 1, input: run.inputs, output: run.outputs };
  if (row.position >= ends[row.kind]) return -1;
  return row.stage === "" ? 0 : run.stages.indexOf(row.stage) + 1 || -1;
}

/** Return the row at a place that came in that parcel, or with `""` the one that was sorted in. */
export function at(
  ctx: QueryCtx,
  runId: string,
  stage: string,
  place: Pick<Row, "kind" | "position">,
): Promise<Doc<"items"> | null> {
  return ctx.db
    .query("items")
    .withIndex("by_run", (q) =>
      q
        .eq("runId", runId)
        .eq("kind", place.kind)
        .eq("stage", stage)
        .eq("position", place.position),
    )
    .unique();
}

/** Put a row in its place, over everything that counts there. */
export async function put(ctx: MutationCtx, run: Doc<"runs">, row: Row): Promise<void> {
  for (const stage of run.stages) {
    const staged = await at(ctx, run.runId, stage, row);
    if (staged !== null) await remove(ctx, staged);
  }
  const before = await at(ctx, run.runId, "", row);
  const fields = { runId: run.runId, stage: "", ...row };
  if (before === null) {
    await ctx.db.insert("items", fields);
    return;
  }
  await ctx.db.replace(before._id, fields);
  await dropBody(ctx, before.body);
}

/** Remove a row, and in a while its chunks. */
export async function remove(ctx: MutationCtx, row: Doc<"items">): Promise<void> {
  await ctx.db.delete(row._id);
  await dropBody(ctx, row.body);
}

/** Have the chunks of an item removed that nothing refers to any more. */
export async function dropBody(ctx: MutationCtx, body: string | undefined): Promise<void> {
  if (body !== undefined) await ctx.scheduler.runAfter(0, internal.parcels.clear, { body });
}

/** Remove rows of a run until the budget is spent; tell whether none are left. */
export async function removeRows(
  ctx: MutationCtx,
  runId: string,
  budget: Budget,
): Promise<boolean> {
  const doomed: Doc<"items">[] = [];
  budget.ask();
  for await (const row of ctx.db.query("items").withIndex("by_run", (q) => q.eq("runId", runId))) {
    budget.spend(row.size);
    doomed.push(row);
    if (budget.isSpent) break;
  }
  for (const row of doomed) await remove(ctx, row);
  return !budget.isSpent;
}
