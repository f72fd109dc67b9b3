/** Threads: made, listed, changed, deleted. */

import { v } from "convex/values";

import { internal } from "./_generated/api";
import type { Doc } from "./_generated/dataModel";
import { internalMutation, internalQuery, type QueryCtx } from "./_generated/server";
import { failure } from "./failures";
import { BYTES, Budget } from "./limits";
import { removeRows } from "./rows";
import { liveThread, MOST_TAGS, shown, tag, threadOf } from "./threadRows";

/** Milliseconds after which a thread that was not finished being made is removed. */
const UNFINISHED_MS = 3_600_000;
/** Threads whose change is worth telling: nobody sees more of them at once. */
const WATCHED = 30;

const fields = {
  title: v.string(),
  text: v.string(),
  summary: v.optional(v.string()),
  tags: v.array(v.string()),
  agentRole: v.optional(v.string()),
};

/**
 * Make a thread and tell whether it is new. A hidden one is seen by nobody until `reveal`; another
 * call that makes it meanwhile takes it over.
 */
export const create = internalMutation({
  args: {
    threadId: v.string(),
    token: v.string(),
    hidden: v.boolean(),
    ...fields,
    modelId: v.optional(v.string()),
    providerId: v.optional(v.string()),
    createdAt: v.number(),
    updatedAt: v.number(),
  },
  handler: async (ctx, { hidden, ...thread }) => {
    refuseTags(thread.tags);
    const known = await threadOf(ctx, thread.threadId);
    if (known !== null && known.status !== "hidden") return known.token === thread.token;
    const status: Doc<"threads">["status"] = hidden ? "hidden" : "live";
    if (known === null) await ctx.db.insert("threads", { ...thread, status });
    else await ctx.db.patch(known._id, { ...thread, status });
    if (hidden) {
      const { threadId, token } = thread;
      await ctx.scheduler.runAfter(UNFINISHED_MS, internal.threads.giveUp, { threadId, token });
    } else {
      await tag(ctx, thread.threadId, thread.tags, thread.updatedAt);
    }
    return true;
  },
});

/** Let a thread be seen that was made hidden; tell whether it is there. */
export const reveal = internalMutation({
  args: { threadId: v.string(), token: v.string() },
  handler: async (ctx, { threadId, token }) => {
    const thread = await threadOf(ctx, threadId);
    if (thread?.token !== token || thread.status === "deleted") return false;
    if (thread.status === "hidden") {
      await ctx.db.patch(thread._id, { status: "live" });
      await tag(ctx, threadId, thread.tags, thread.updatedAt);
    }
    return true;
  },
});

/** Remove a thread that nobody revealed, as if it had never been there. */
export const giveUp = internalMutation({
  args: { threadId: v.string(), token: v.string() },
  handler: async (ctx, { threadId, token }) => {
    const thread = await threadOf(ctx, threadId);
    if (thread?.status !== "hidden" || thread.token !== token) return;
    await ctx.db.delete(thread._id);
    await ctx.scheduler.runAfter(0, internal.threads.purge, { threadId });
  },
});

export const get = internalQuery({
  args: { threadId: v.string() },
  handler: async (ctx, { threadId }) => {
    const thread = await liveThread(ctx, threadId);
    return thread && shown(thread);
  },
});

const place = v.object({ updatedAt: v.number(), threadId: v.string() });

/** List threads by last change, newest first, after a place; perhaps fewer than the limit. */
export const list = internalQuery({
  args: { limit: v.number(), before: v.optional(place), tag: v.optional(v.string()) },
  handler: async (ctx, { limit, before, tag: name }) => {
    const threads = [];
    let bytes = 0;
    for await (const thread of name === undefined ? all(ctx, before) : tagged(ctx, name, before)) {
      if (threads.length === limit || bytes > BYTES) return { threads, more: true };
      threads.push(shown(thread));
      // A character is three bytes at most; a document has more than its longest fields.
      bytes += 500 + 3 * (thread.title.length + thread.text.length + (thread.summary ?? "").length);
    }
    return { threads, more: false };
  },
});

type Place = { updatedAt: number; threadId: string } | undefined;

async function* all(ctx: QueryCtx, before: Place): AsyncGenerator<Doc<"threads">> {
  const threads = ctx.db.query("threads");
  if (before === undefined) {
    yield* threads.withIndex("by_change", (q) => q.eq("status", "live")).order("desc");
    return;
  }
  const { updatedAt, threadId } = before;
  yield* threads
    .withIndex("by_change", (q) =>
      q.eq("status", "live").eq("updatedAt", updatedAt).lt("threadId", threadId),
    )
    .order("desc");
  yield* ctx.db
    .query("threads")
    .withIndex("by_change", (q) => q.eq("status", "live").lt("updatedAt", updatedAt))
    .order("desc");
}

async function* tagged(ctx: QueryCtx, name: string, before: Place): AsyncGenerator<Doc<"threads">> {
  for await (const { threadId } of tagRows(ctx, name, before)) {
    const thread = await liveThread(ctx, threadId);
    if (thread !== null) yield thread;
  }
}

async function* tagRows(ctx: QueryCtx, name: string, before: Place): AsyncGenerator<Doc<"tags">> {
  const rows = ctx.db.query("tags");
  if (before === undefined) {
    yield* rows.withIndex("by_tag", (q) => q.eq("tag", name)).order("desc");
    return;
  }
  const { updatedAt, threadId } = before;
  yield* rows
    .withIndex("by_tag", (q) =>
      q.eq("tag", name).eq("updatedAt", updatedAt).lt("threadId", threadId),
    )
    .order("desc");
  yield* ctx.db
    .query("tags")
    .withIndex("by_tag", (q) => q.eq("tag", name).lt("updatedAt", updatedAt))
    .order("desc");
}

/** Change what is given; tell whether the thread is there. */
export const update = internalMutation({
  args: {
    threadId: v.string(),
    now: v.number(),
    changes: v.object({
      title: v.optional(v.string()),
      text: v.optional(v.string()),
      summary: v.optional(v.string()),
      tags: v.optional(v.array(v.string())),
      agentRole: v.optional(v.string()),
    }),
  },
  handler: async (ctx, { threadId, now, changes }) => {
    const thread = await liveThread(ctx, threadId);
    if (thread === null) return false;
    const tags = changes.tags ?? thread.tags;
    refuseTags(tags);
    await ctx.db.patch(thread._id, { ...changes, updatedAt: now });
    await tag(ctx, threadId, tags, now);
    return true;
  },
});

/** Hide a thread for good and have its runs removed; tell whether it was there. */
export const remove = internalMutation({
  args: { threadId: v.string(), token: v.string() },
  handler: async (ctx, { threadId, token }) => {
    const thread = await threadOf(ctx, threadId);
    if (thread?.status !== "live") return thread?.status === "deleted" && thread.token === token;
    await ctx.db.replace(thread._id, {
      ...{ threadId, token, status: "deleted", title: "", text: "", tags: [] },
      ...{ createdAt: thread.createdAt, updatedAt: Date.now() },
    });
    await tag(ctx, threadId, [], 0);
    await ctx.scheduler.runAfter(0, internal.threads.purge, { threadId });
    return true;
  },
});

/** Remove the runs of a thread that is no more, as many as one transaction may. */
export const purge = internalMutation({
  args: { threadId: v.string() },
  handler: async (ctx, { threadId }) => {
    const thread = await threadOf(ctx, threadId);
    if (thread !== null && thread.status !== "deleted") return; // it is being made anew
    const budget = new Budget();
    while (!budget.isSpent) {
      budget.ask();
      const run = await ctx.db
        .query("runs")
        .withIndex("by_thread", (q) => q.eq("threadId", threadId))
        .first();
      if (run === null) return;
      if (await removeRows(ctx, run.runId, budget)) await ctx.db.delete(run._id);
    }
    await ctx.scheduler.runAfter(0, internal.threads.purge, { threadId });
  },
});

/** Something that changes when the newest threads do, or when one is deleted: for who watches. */
export const digest = internalQuery({
  args: {},
  handler: async (ctx) => {
    const newest = await ctx.db
      .query("threads")
      .withIndex("by_change", (q) => q.eq("status", "live"))
      .order("desc")
      .take(WATCHED);
    const deleted = await ctx.db
      .query("threads")
      .withIndex("by_change", (q) => q.eq("status", "deleted"))
      .order("desc")
      .first();
    const lines = newest.map(({ threadId, updatedAt, newest: run }) =>
      [threadId, updatedAt, run?.status].join(" "),
    );
    return [deleted?.threadId, ...lines].join("\n");
  },
});

function refuseTags(tags: readonly string[]): void {
  if (tags.length > MOST_TAGS) throw failure("too_many_tags");
}
