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

/** Put rows in their places, over everything that counts there. */
export async function put(ctx: MutationCtx, run: Doc<"runs">, rows: readonly Row[]): Promise<void> {
  const over: Doc<"items">[] = [];
  const bodies: string[] = [];
  for (const row of rows) {
    for (const stage of run.stages) {
      const staged = await at(ctx, run.runId, stage, row);
      if (staged !== null) over.push(staged);
    }
    const before = await at(ctx, run.runId, "", row);
    const fields = { runId: run.runId, stage: "", ...row };
    if (before === null) await ctx.db.insert("items", fields);
    else await ctx.db.replace(before._id, fields);
    if (before?.body !== undefined) bodies.push(before.body);
  }
  await remove(ctx, over);
  await dropBodies(ctx, bodies);
}

/** Remove rows, and in a while the chunks that nothing refers to any more. */
export async function remove(ctx: MutationCtx, rows: readonly Doc<"items">[]): Promise<void> {
  for (const row of rows) await ctx.db.delete(row._id);
  await dropBodies(ctx, rows.flatMap(({ body }) => body ?? []));
}

/** Have the chunks of items removed that nothing refers to any more. */
export async function dropBodies(ctx: MutationCtx, bodies: readonly string[]): Promise<void> {
  // One call for all of them: a mutation may schedule 1,000.
  if (bodies.length > 0) {
    await ctx.scheduler.runAfter(0, internal.parcels.clear, { bodies: [...bodies] });
  }
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
  await remove(ctx, doomed);
  return !budget.isSpent;
}
