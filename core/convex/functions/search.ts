/**
 * Search: threads by words in their titles, or in one message.
 *
 * A client folds text and queries alike, into words between single spaces. The full-text index
 * finds candidates, by any word and the most relevant first; what counts is decided here: every
 * phrase must occur, the last one perhaps unfinished.
 */

import { paginationOptsValidator, type PaginationResult } from "convex/server";
import { v } from "convex/values";

import type { Doc } from "./_generated/dataModel";
import { internalQuery, type QueryCtx } from "./_generated/server";
import { BYTES } from "./limits";
import { at, rank, runOf } from "./rows";
import { liveThread, shown } from "./threadRows";

const query = {
  /** The words that candidates are looked up by; Convex takes 16. */
  words: v.string(),
  /** What must occur, folded. */
  phrases: v.array(v.string()),
  page: paginationOptsValidator,
};

/** Find threads by their titles. */
export const titles = internalQuery({
  args: query,
  handler: async (ctx, { words, phrases, page }) => {
    const found = await ctx.db
      .query("threads")
      .withSearchIndex("by_title", (q) => q.search("text", words).eq("status", "live"))
      .paginate(page);
    const threads = found.page.filter(({ text }) => matches(text, phrases)).map(shown);
    return { threads, ...rest(found) };
  },
});

/** Find threads by their messages; of large ones, by the beginning. */
export const messages = internalQuery({
  args: query,
  handler: async (ctx, { words, phrases, page }) => {
    const found = await ctx.db
      .query("items")
      .withSearchIndex("by_text", (q) => q.search("text", words))
      .paginate(page);
    return { threads: await threadsOf(ctx, found.page, phrases), ...rest(found) };
  },
});

/** Find threads by what large messages go on with. */
export const chunks = internalQuery({
  args: query,
  handler: async (ctx, { words, phrases, page }) => {
    const found = await ctx.db
      .query("chunks")
      .withSearchIndex("by_text", (q) => q.search("text", words))
      .paginate(page);
    const rows: Doc<"items">[] = [];
    for (const body of new Set(found.page.map((piece) => piece.body))) {
      const using = ctx.db.query("items").withIndex("by_body", (q) => q.eq("body", body));
      rows.push(...(await using.take(2)));
    }
    return { threads: await threadsOf(ctx, rows, phrases), ...rest(found) };
  },
});

function rest({ isDone, continueCursor }: PaginationResult<unknown>) {
  return { isDone, continueCursor };
}

/** Return the threads of those rows that count and have all phrases in their message. */
async function threadsOf(ctx: QueryCtx, rows: Iterable<Doc<"items">>, phrases: readonly string[]) {
  const runs = new Map<string, Doc<"runs"> | null>();
  const threads = new Map<string, Doc<"threads"> | null>();
  const budget = { bytes: 2 * BYTES };
  for (const found of rows) {
    if (!matches(await textOf(ctx, found, budget), phrases)) continue;
    if (!runs.has(found.runId)) runs.set(found.runId, await runOf(ctx, found.runId));
    const run = runs.get(found.runId);
    if (!run || threads.has(run.threadId) || !(await counts(ctx, run, found))) continue;
    threads.set(run.threadId, await liveThread(ctx, run.threadId));
  }
  return [...threads.values()].filter((thread) => thread !== null).map(shown);
}

/** Return all that is searched of a message; a very large one only as far as the budget goes. */
async function textOf(ctx: QueryCtx, found: Doc<"items">, budget: { bytes: number }) {
  let text = found.text;
  const { body, parts, texts } = found;
  if (texts === 0 || body === undefined) return text;
  for await (const piece of ctx.db
    .query("chunks")
    .withIndex("by_body", (q) => q.eq("body", body).gte("part", parts))) {
    if ((budget.bytes -= piece.size) < 0) break;
    text += ` ${piece.text}`;
  }
  return text;
}

/** Tell whether a row is what is read at its place. */
async function counts(ctx: QueryCtx, run: Doc<"runs">, found: Doc<"items">): Promise<boolean> {
  const own = rank(run, found);
  if (own < 0) return false;
  for (const stage of run.stages.slice(own)) {
    if ((await at(ctx, run.runId, stage, found)) !== null) return false;
  }
  return true;
}

/** Tell whether every phrase occurs in a text of words between single spaces. */
function matches(text: string, phrases: readonly string[]): boolean {
  const padded = ` ${text} `;
  const last = phrases.length - 1;
  return phrases.every((phrase, place) =>
    padded.includes(place === last ? ` ${phrase}` : ` ${phrase} `),
  );
}
