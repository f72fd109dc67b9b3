/** Runs: saved, read, and those that have not ended. */

import { v, type Infer } from "convex/values";

import { internal } from "./_generated/api";
import type { Doc } from "./_generated/dataModel";
import {
  internalMutation,
  internalQuery,
  type MutationCtx,
  type QueryCtx,
} from "./_generated/server";
import { failure } from "./failures";
import { Budget } from "./limits";
import { isStored } from "./parcels";
import { put, rank, runOf } from "./rows";
import { chunk, kind, row } from "./schema";
import { liveThread, threadOf, touch } from "./threadRows";
import { compared } from "./versions";

/** Ranges that putting the rows of one save in their places may take. */
const MOST_RANGES = 3_000;
/** Chunks that are read at once; each is 256 KiB at most. */
const CHUNKS = 16;

const response = v.object({
  runId: v.string(),
  threadId: v.string(),
  status: v.string(),
  createdAt: v.number(),
  updatedAt: v.number(),
  modelId: v.string(),
  providerId: v.string(),
  agentRole: v.optional(v.string()),
  version: v.string(),
  owner: v.optional(v.string()),
  header: v.string(),
  inputs: v.number(),
  outputs: v.number(),
});
type Response = Infer<typeof response>;

/**
 * Save a state of a run.
 *
 * With it come the rows of the items that changed, themselves or in parcels. `tail` says from which
 * position on every output item has come, and `whole` that the input items have as well: if more
 * than that is not stored yet, nothing is written and the answer says what is.
 */
export const save = internalMutation({
  args: {
    run: response,
    token: v.string(),
    tail: v.number(),
    whole: v.boolean(),
    rows: v.array(row),
    chunks: v.array(chunk),
    parcels: v.array(v.string()),
  },
  handler: async (ctx, { run, token, tail, whole, rows, chunks, parcels }) => {
    const thread = await threadOf(ctx, run.threadId);
    const before = await runOf(ctx, run.runId);
    if (before?.token === token) return { outcome: "written" };
    if (thread === null || thread.status === "deleted" || !admits(before, run)) {
      return { outcome: "refused" };
    }
    const known = before?.outputs ?? 0;
    if (tail > known || (before === null && !whole)) {
      return { outcome: "incomplete", outputs: known, isNew: before === null };
    }
    for (const parcel of parcels) {
      if (!(await isStored(ctx, parcel))) return { outcome: "unstored" };
    }
    const after = await write(ctx, before, run, token, parcels);
    if (rows.length * (1 + after.stages.length) > MOST_RANGES) throw failure("busy");
    for (const fields of chunks) await ctx.db.insert("chunks", { parcel: "", ...fields });
    await put(ctx, after, rows);
    if (after.stages.length > 0 || run.outputs < known) {
      await ctx.scheduler.runAfter(0, internal.parcels.settle, { runId: run.runId });
    }
    await touch(ctx, thread, run, before === null ? run.agentRole : undefined);
    return { outcome: "written" };
  },
});

/**
 * Tell whether a state may take the place of the stored one: it is newer, or the end of that very
 * state, and an end is never followed by a state without one.
 */
function admits(before: Doc<"runs"> | null, run: Response): boolean {
  if (before === null) return true;
  const ends = !isOpen(run.status);
  if (!before.open && !ends) return false;
  const order = compared(run.version, before.version);
  return order > 0 || (order === 0 && before.open && ends);
}

function isOpen(status: string): boolean {
  return status === "queued" || status === "in_progress";
}

async function write(
  ctx: MutationCtx,
  before: Doc<"runs"> | null,
  run: Response,
  token: string,
  parcels: readonly string[],
): Promise<Doc<"runs">> {
  const { updatedAt: _, modelId: __, providerId: ___, agentRole: ____, ...kept } = run;
  const fields = {
    ...kept,
    open: isOpen(run.status),
    stages: [...(before?.stages ?? []), ...parcels],
    token,
    revision: (before?.revision ?? 0) + 1,
  };
  if (before !== null) {
    await ctx.db.replace(before._id, fields);
    return { ...before, ...fields };
  }
  const id = await ctx.db.insert("runs", fields);
  return { _id: id, _creationTime: 0, ...fields };
}

// Reading. Rows come in pages; a reader who finds another revision on the next page begins anew.

const place = v.object({ kind, stage: v.string(), position: v.number() });
type Place = Infer<typeof place>;

/** Read a run, after a row of it. */
export const get = internalQuery({
  args: { runId: v.string(), after: v.optional(place) },
  handler: async (ctx, { runId, after }) => {
    const run = await runOf(ctx, runId);
    if (run === null || (await liveThread(ctx, run.threadId)) === null) return null;
    return await read(ctx, run, after, new Budget());
  },
});

/**
 * Read the runs of a thread in the order they were created: from one on, after a row of that. The
 * last run of a page may be there in part; `next` is where to go on.
 */
export const list = internalQuery({
  args: {
    threadId: v.string(),
    from: v.optional(v.object({ createdAt: v.number(), runId: v.string() })),
    after: v.optional(place),
  },
  handler: async (ctx, { threadId, from, after }) => {
    if ((await liveThread(ctx, threadId)) === null) return { runs: [], next: null };
    const budget = new Budget();
    const runs = [];
    let place = after;
    for await (const run of from === undefined ? all(ctx, threadId) : since(ctx, threadId, from)) {
      const { createdAt, runId } = run;
      const isFirst = createdAt === from?.createdAt && runId === from.runId;
      if (budget.isSpent) return { runs, next: { from: { createdAt, runId } } };
      budget.spend(run.header.length);
      const found = await read(ctx, run, isFirst ? place : undefined, budget);
      place = undefined;
      runs.push(found);
      if (found.next !== null) {
        return { runs, next: { from: { createdAt, runId }, after: found.next } };
      }
    }
    return { runs, next: null };
  },
});

/** Read the JSON of a large item, or some of it, from a part on. */
export const body = internalQuery({
  args: { body: v.string(), from: v.number(), until: v.number() },
  handler: async (ctx, { body, from, until }) => {
    const chunks = await ctx.db
      .query("chunks")
      .withIndex("by_body", (q) => q.eq("body", body).gte("part", from).lt("part", until))
      .take(CHUNKS);
    return chunks.map(({ json }) => json);
  },
});

async function read(ctx: QueryCtx, run: Doc<"runs">, after: Place | undefined, budget: Budget) {
  const { runId, createdAt, version, header, inputs, outputs, stages, revision } = run;
  const rows = [];
  let last = after;
  let next: Place | null = null;
  budget.ask();
  for await (const found of rowsAfter(ctx, runId, after)) {
    if (budget.isSpent && last !== undefined) {
      next = last;
      break;
    }
    const { kind, stage, position, json, body, parts } = found;
    last = { kind, stage, position };
    budget.spend(found.size);
    if (rank(run, found) >= 0) rows.push({ kind, stage, position, json, body, parts });
  }
  return { runId, createdAt, version, header, inputs, outputs, stages, revision, rows, next };
}

async function* rowsAfter(
  ctx: QueryCtx,
  runId: string,
  after: Place | undefined,
): AsyncGenerator<Doc<"items">> {
  const rows = () => ctx.db.query("items");
  if (after === undefined) {
    yield* rows().withIndex("by_run", (q) => q.eq("runId", runId));
    return;
  }
  const { kind, stage, position } = after;
  yield* rows().withIndex("by_run", (q) =>
    q.eq("runId", runId).eq("kind", kind).eq("stage", stage).gt("position", position),
  );
  yield* rows().withIndex("by_run", (q) =>
    q.eq("runId", runId).eq("kind", kind).gt("stage", stage),
  );
  yield* rows().withIndex("by_run", (q) => q.eq("runId", runId).gt("kind", kind));
}

async function* all(ctx: QueryCtx, threadId: string): AsyncGenerator<Doc<"runs">> {
  yield* ctx.db.query("runs").withIndex("by_thread", (q) => q.eq("threadId", threadId));
}

async function* since(
  ctx: QueryCtx,
  threadId: string,
  from: { createdAt: number; runId: string },
): AsyncGenerator<Doc<"runs">> {
  const { createdAt, runId } = from;
  yield* ctx.db
    .query("runs")
    .withIndex("by_thread", (q) =>
      q.eq("threadId", threadId).eq("createdAt", createdAt).gte("runId", runId),
    );
  yield* ctx.db
    .query("runs")
    .withIndex("by_thread", (q) => q.eq("threadId", threadId).gt("createdAt", createdAt));
}
