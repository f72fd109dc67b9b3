/**
 * Runs that have not ended, and the processes that work on them.
 *
 * They are told of by a mutation: answers of queries are kept, and whether somebody was heard of
 * lately changes without a write.
 */

import { v } from "convex/values";

import type { Doc } from "./_generated/dataModel";
import { internalMutation, type QueryCtx } from "./_generated/server";
import { liveThread } from "./threadRows";

/** Open runs that are looked at at once. */
const RUNS = 200;
/** Milliseconds without a sign of life after which the owner of a run counts as gone. */
export const LEASE_MS = 90_000;
/** Milliseconds after which an owner is forgotten, and how many are at once. */
const FORGET_MS = 7 * 86_400_000;
const FORGET = 10;

/** Tell of runs without an end, oldest first, after a place; `seen` if the owner is alive. */
export const open = internalMutation({
  args: { after: v.optional(v.object({ createdAt: v.number(), runId: v.string() })) },
  handler: async (ctx, { after }) => {
    const found = [];
    const rows = after === undefined ? allOpen(ctx) : openAfter(ctx, after);
    let examined = 0;
    let next = after ?? null;
    for await (const { runId, threadId, version, owner, createdAt } of rows) {
      if (examined === RUNS) return { runs: found, next };
      examined += 1;
      next = { createdAt, runId };
      if ((await liveThread(ctx, threadId)) === null) continue;
      found.push({ runId, createdAt, version, owner, seen: await isAlive(ctx, owner) });
    }
    return { runs: found, next: null };
  },
});

async function* allOpen(ctx: QueryCtx): AsyncGenerator<Doc<"runs">> {
  yield* ctx.db.query("runs").withIndex("by_open", (q) => q.eq("open", true));
}

async function* openAfter(
  ctx: QueryCtx,
  after: { createdAt: number; runId: string },
): AsyncGenerator<Doc<"runs">> {
  const { createdAt, runId } = after;
  yield* ctx.db
    .query("runs")
    .withIndex("by_open", (q) =>
      q.eq("open", true).eq("createdAt", createdAt).gt("runId", runId),
    );
  yield* ctx.db
    .query("runs")
    .withIndex("by_open", (q) => q.eq("open", true).gt("createdAt", createdAt));
}

async function isAlive(ctx: QueryCtx, owner: string | undefined): Promise<boolean> {
  if (owner === undefined) return false;
  const found = await ctx.db
    .query("owners")
    .withIndex("by_owner", (q) => q.eq("owner", owner))
    .unique();
  return found !== null && Date.now() - found.seenAt < LEASE_MS;
}

/** Take a sign of life of who works on runs. */
export const beat = internalMutation({
  args: { owner: v.string() },
  handler: async (ctx, { owner }) => {
    const seenAt = Date.now();
    const found = await ctx.db
      .query("owners")
      .withIndex("by_owner", (q) => q.eq("owner", owner))
      .unique();
    if (found === null) await ctx.db.insert("owners", { owner, seenAt });
    else await ctx.db.patch(found._id, { seenAt });
    const gone = await ctx.db
      .query("owners")
      .withIndex("by_seen", (q) => q.lt("seenAt", seenAt - FORGET_MS))
      .take(FORGET);
    for (const { _id } of gone) await ctx.db.delete(_id);
  },
});
