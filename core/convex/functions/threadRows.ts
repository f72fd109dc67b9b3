/** Rows of threads: which can be seen, and how a thread follows its newest run. */

import type { Doc } from "./_generated/dataModel";
import type { MutationCtx, QueryCtx } from "./_generated/server";

/** Return a thread, whatever its status. */
export function threadOf(ctx: QueryCtx, threadId: string): Promise<Doc<"threads"> | null> {
  return ctx.db
    .query("threads")
    .withIndex("by_thread", (q) => q.eq("threadId", threadId))
    .unique();
}

/** Return a thread that can be seen. */
export async function liveThread(ctx: QueryCtx, threadId: string): Promise<Doc<"threads"> | null> {
  const thread = await threadOf(ctx, threadId);
  return thread?.status === "live" ? thread : null;
}

/** Return what a client is told of a thread. */
export function shown(thread: Doc<"threads">) {
  const { threadId, title, summary, tags, agentRole, modelId, providerId } = thread;
  const { createdAt, updatedAt, newest } = thread;
  const fields = { title, summary, tags, agentRole, modelId, providerId, createdAt, updatedAt };
  return { threadId, ...fields, newest: newest?.status };
}

/** What of a run its thread follows. */
export interface Followed {
  readonly runId: string;
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly status: string;
  readonly modelId: string;
  readonly providerId: string;
}

/**
 * Let a thread follow a run, if that is its newest, to its agent when it begins: that may be changed
 * later. A thread that is still being made keeps what it has.
 */
export async function touch(
  ctx: MutationCtx,
  thread: Doc<"threads">,
  run: Followed,
  agentRole: string | undefined,
): Promise<void> {
  if (thread.newest !== undefined && isBefore(run, thread.newest)) return;
  const { runId, createdAt, status, modelId, providerId } = run;
  const newest = { runId, createdAt, status };
  if (thread.status === "hidden") {
    await ctx.db.patch(thread._id, { newest });
    return;
  }
  const updatedAt = Math.max(thread.updatedAt, run.updatedAt);
  const followed = { newest, updatedAt, modelId, providerId };
  await ctx.db.patch(
    thread._id,
    agentRole === undefined ? followed : { ...followed, agentRole },
  );
  if (updatedAt !== thread.updatedAt) await tag(ctx, thread.threadId, thread.tags, updatedAt);
}

/** List a thread under these tags and no others. */
export async function tag(
  ctx: MutationCtx,
  threadId: string,
  tags: readonly string[],
  updatedAt: number,
): Promise<void> {
  const wanted = new Set(tags);
  const listed = ctx.db.query("tags").withIndex("by_thread", (q) => q.eq("threadId", threadId));
  for (const row of await listed.take(MOST_TAGS)) {
    if (wanted.delete(row.tag)) await ctx.db.patch(row._id, { updatedAt });
    else await ctx.db.delete(row._id);
  }
  for (const name of wanted) await ctx.db.insert("tags", { tag: name, threadId, updatedAt });
}

/** Tags of one thread at most. */
export const MOST_TAGS = 1_000;

function isBefore(
  run: { createdAt: number; runId: string },
  other: { createdAt: number; runId: string },
): boolean {
  if (run.createdAt !== other.createdAt) return run.createdAt < other.createdAt;
  return run.runId < other.runId;
}
