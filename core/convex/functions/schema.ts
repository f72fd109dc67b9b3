/**
 * The tables: threads, runs, and one document for each item of a run.
 *
 * Nothing that a model or a tool wrote is a field of its own: items are JSON text, because field
 * names, nesting and arrays have limits in Convex that JSON does not have. What is larger than a
 * document may be is cut into `chunks`.
 */

import { defineSchema, defineTable } from "convex/server";
import { v } from "convex/values";

export const kind = v.union(v.literal("header"), v.literal("input"), v.literal("output"));

/** A row of `items` as a client sends it. */
export const row = v.object({
  kind,
  position: v.number(),
  /** The item's JSON; empty where it is in chunks. */
  json: v.string(),
  /** What is searched: folded words between single spaces; empty where there are none. */
  text: v.string(),
  /** Bytes of both. */
  size: v.number(),
  /** What its chunks are called: first those that hold the JSON, if it is not here. */
  body: v.optional(v.string()),
  parts: v.number(),
  /** How many follow them with more of what is searched. */
  texts: v.number(),
});

/** A piece of a large item: of its JSON, or of what is searched. */
export const chunk = v.object({
  body: v.string(),
  part: v.number(),
  json: v.string(),
  text: v.string(),
  size: v.number(),
});

export default defineSchema({
  threads: defineTable({
    threadId: v.string(),
    /** A hidden thread is being made, a deleted one stays so that its id is never used again. */
    status: v.union(v.literal("live"), v.literal("hidden"), v.literal("deleted")),
    /** Which call made or deleted it: the same call may come twice. */
    token: v.string(),
    title: v.string(),
    text: v.string(),
    summary: v.optional(v.string()),
    tags: v.array(v.string()),
    agentRole: v.optional(v.string()),
    modelId: v.optional(v.string()),
    providerId: v.optional(v.string()),
    createdAt: v.number(),
    updatedAt: v.number(),
    newest: v.optional(
      v.object({ createdAt: v.number(), runId: v.string(), status: v.string() }),
    ),
  })
    .index("by_thread", ["threadId"])
    .index("by_change", ["status", "updatedAt", "threadId"])
    .searchIndex("by_title", { searchField: "text", filterFields: ["status"] }),

  /** The tags of live threads, so that those of one tag can be listed by their last change. */
  tags: defineTable({ tag: v.string(), threadId: v.string(), updatedAt: v.number() })
    .index("by_tag", ["tag", "updatedAt", "threadId"])
    .index("by_thread", ["threadId"]),

  runs: defineTable({
    runId: v.string(),
    threadId: v.string(),
    open: v.boolean(),
    status: v.string(),
    createdAt: v.number(),
    version: v.string(),
    owner: v.optional(v.string()),
    /** All of the response but its items, as JSON; empty where it is an item of kind `header`. */
    header: v.string(),
    inputs: v.number(),
    outputs: v.number(),
    /** Parcels of rows that count, though they have not been sorted in yet; later ones win. */
    stages: v.array(v.string()),
    /** Which save this state is of: the same one may come twice. */
    token: v.string(),
    /** Counts what was done to its rows, for who reads them in several pages. */
    revision: v.number(),
  })
    .index("by_run", ["runId"])
    .index("by_thread", ["threadId", "createdAt", "runId"])
    .index("by_open", ["open", "createdAt", "runId"]),

  items: defineTable({
    runId: v.string(),
    /** The parcel it came in, until it is sorted in; then empty. */
    stage: v.string(),
    ...row.fields,
  })
    .index("by_run", ["runId", "kind", "stage", "position"])
    .index("by_stage", ["stage"])
    .index("by_body", ["body"])
    .searchIndex("by_text", { searchField: "text" }),

  chunks: defineTable({ parcel: v.string(), ...chunk.fields })
    .index("by_body", ["body", "part"])
    .index("by_parcel", ["parcel"])
    .searchIndex("by_text", { searchField: "text" }),

  /** Processes that work on runs, and when they were last heard of. */
  owners: defineTable({ owner: v.string(), seenAt: v.number() })
    .index("by_owner", ["owner"])
    .index("by_seen", ["seenAt"]),
});
