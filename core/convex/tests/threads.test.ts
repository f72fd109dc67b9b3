import { ConvexError } from "convex/values";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { backend, count, internal, made, row, save } from "./backend";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const page = { numItems: 10, cursor: null };

describe("making", () => {
  test("the same call twice makes a thread once and says the same", async () => {
    const t = backend();
    const thread = {
      ...{ threadId: "t", token: "a", hidden: false, title: "T", text: "t", tags: [] },
      ...{ createdAt: 1, updatedAt: 1 },
    };
    expect(await t.mutation(internal.threads.create, thread)).toBe(true);
    expect(await t.mutation(internal.threads.create, thread)).toBe(true);
    expect(await t.mutation(internal.threads.create, { ...thread, token: "b" })).toBe(false);
    expect(await count(t, "threads")).toBe(1);
  });

  test("a hidden thread that nobody reveals is removed with its runs", async () => {
    const t = backend();
    await made(t, "t", { hidden: true });
    expect((await t.mutation(internal.runs.save, save([row(0)]))).outcome).toBe("written");
    expect(await t.query(internal.threads.get, { threadId: "t" })).toBeNull();
    expect(await t.query(internal.runs.get, { runId: "r" })).toBeNull();
    await t.finishAllScheduledFunctions(vi.runAllTimers);
    expect(await count(t, "threads")).toBe(0);
    expect((await count(t, "runs")) + (await count(t, "items"))).toBe(0);
  });

  test("a thread that is made anew while an earlier try is cleared away keeps its runs", async () => {
    const t = backend();
    await made(t, "t", { hidden: true, token: "a" });
    vi.setSystemTime(Date.now() + 3_600_001);
    await t.mutation(internal.threads.giveUp, { threadId: "t", token: "a" });
    await made(t, "t", { hidden: true, token: "b" });
    await t.mutation(internal.runs.save, save([row(0)]));
    await t.mutation(internal.threads.reveal, { threadId: "t", token: "b" });
    await t.finishAllScheduledFunctions(vi.runAllTimers);
    expect(await count(t, "runs")).toBe(1);
  });

  test("a revealed thread is there, also when its time is up", async () => {
    const t = backend();
    await made(t, "t", { hidden: true, token: "a", tags: ["x"] });
    expect(await t.mutation(internal.threads.reveal, { threadId: "t", token: "b" })).toBe(false);
    expect(await t.mutation(internal.threads.reveal, { threadId: "t", token: "a" })).toBe(true);
    await t.finishAllScheduledFunctions(vi.runAllTimers);
    expect((await t.query(internal.threads.list, { limit: 5, tag: "x" })).threads).toHaveLength(1);
  });
});

describe("deleting", () => {
  test("it hides at once and removes in batches; a late write is refused", async () => {
    const t = backend();
    await made(t, "t", { tags: ["x"] });
    const rows = Array.from({ length: 60 }, (_, at) => row(at, "x".repeat(40_000)));
    for (const runId of ["a", "b", "c", "d"]) {
      await t.mutation(internal.runs.save, save(rows, { runId }));
    }
    const token = "d";
    expect(await t.mutation(internal.threads.remove, { threadId: "t", token })).toBe(true);
    expect(await t.query(internal.threads.get, { threadId: "t" })).toBeNull();
    expect((await t.query(internal.threads.list, { limit: 5 })).threads).toEqual([]);
    expect((await t.query(internal.threads.list, { limit: 5, tag: "x" })).threads).toEqual([]);
    expect(await t.query(internal.runs.get, { runId: "a" })).toBeNull();
    expect((await t.query(internal.runs.list, { threadId: "t" })).runs).toEqual([]);
    expect((await t.mutation(internal.owners.open, {})).runs).toEqual([]);
    await t.finishAllScheduledFunctions(vi.runAllTimers);
    for (const table of ["runs", "items", "tags"] as const) expect(await count(t, table)).toBe(0);
    const late = save(rows, { version: "9-0", runId: "a" });
    expect((await t.mutation(internal.runs.save, late)).outcome).toBe("refused");
    const parcel = { parcel: "p", threadId: "t", runId: "a", rows, chunks: [] };
    expect(await t.mutation(internal.parcels.store, parcel)).toBe(false);
    expect(await count(t, "items")).toBe(0);
  });

  test("the same call twice says the same, another one that it is gone", async () => {
    const t = backend();
    await made(t);
    expect(await t.mutation(internal.threads.remove, { threadId: "t", token: "a" })).toBe(true);
    expect(await t.mutation(internal.threads.remove, { threadId: "t", token: "a" })).toBe(true);
    expect(await t.mutation(internal.threads.remove, { threadId: "t", token: "b" })).toBe(false);
  });
});

test("pages go on behind a place, also among threads that changed at once", async () => {
  const t = backend();
  for (const threadId of ["a", "b", "c", "d", "e"]) {
    await made(t, threadId, { updatedAt: threadId < "d" ? 1 : 2, tags: ["x"] });
  }
  for (const tag of [undefined, "x"]) {
    const seen: string[] = [];
    let before: { updatedAt: number; threadId: string } | undefined;
    for (;;) {
      const asked = { limit: 2, ...(before && { before }), ...(tag && { tag }) };
      const { threads, more } = await t.query(internal.threads.list, asked);
      seen.push(...threads.map(({ threadId }) => threadId));
      before = threads.at(-1)!;
      before = { updatedAt: before.updatedAt, threadId: before.threadId };
      if (!more) break;
    }
    expect(seen).toEqual(["e", "d", "c", "b", "a"]);
  }
});

test("a digest changes with what is seen of the list", async () => {
  const t = backend();
  const seen = new Set<string>();
  const look = async () => seen.add(await t.query(internal.threads.digest, {}));
  await look();
  await made(t);
  await look();
  await t.mutation(internal.runs.save, save([]));
  await look();
  await t.mutation(internal.runs.save, save([], { status: "error", version: "2-0" }));
  await look();
  await t.mutation(internal.threads.update, { threadId: "t", now: 5, changes: { title: "new" } });
  await look();
  await t.mutation(internal.threads.remove, { threadId: "t", token: "d" });
  await look();
  expect(seen.size).toBe(6);
});

test("what a client has to recognise is told by a code", async () => {
  const t = backend();
  await made(t);
  const tags = Array.from({ length: 1001 }, (_, at) => `t${at}`);
  const refused = t.mutation(internal.threads.update, { threadId: "t", now: 1, changes: { tags } });
  await expect(refused).rejects.toThrow(ConvexError);
  await expect(refused).rejects.toMatchObject({ data: { code: "too_many_tags" } });
});

test("a search finds what has every phrase, the last one unfinished, and nothing that is gone", async () => {
  const t = backend();
  await made(t, "t", { text: "morning weather" });
  const words = [row(0, "{}", { text: "rain and more rain" }), row(1, "{}", { text: "sun" })];
  await t.mutation(internal.runs.save, save(words));
  const titles = (phrases: string[]) =>
    t.query(internal.search.titles, { words: phrases.join(" "), phrases, page });
  const messages = (phrases: string[]) =>
    t.query(internal.search.messages, { words: phrases.join(" "), phrases, page });
  expect((await titles(["morning", "wea"])).threads).toHaveLength(1);
  expect((await titles(["morn", "weather"])).threads).toEqual([]);
  expect((await messages(["more rain"])).threads).toHaveLength(1);
  expect((await messages(["rain", "sun"])).threads).toEqual([]);
  await t.mutation(internal.runs.save, save([], { outputs: 1, version: "2-0" }, { tail: 1 }));
  expect((await messages(["sun"])).threads).toEqual([]);
  await t.mutation(internal.threads.remove, { threadId: "t", token: "d" });
  expect((await titles(["morning"])).threads).toEqual([]);
  expect((await messages(["rain"])).threads).toEqual([]);
});
