import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { LEASE_MS } from "../functions/owners";
import { compared } from "../functions/versions";
import { backend, count, internal, made, outputs, row, save, type Backend } from "./backend";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

async function saved(t: Backend, ...args: Parameters<typeof save>): Promise<string> {
  return (await t.mutation(internal.runs.save, save(...args))).outcome;
}

test.each([
  ["1-0", "1-1", -1],
  ["9-0", "10-0", -1],
  ["5-10", "5-9", 1],
  ["1-18446744073709551614", "1-18446744073709551615", -1],
  ["7-7", "7-7", 0],
])("%s and %s are compared as numbers", (left, right, order) => {
  expect(compared(left, right)).toBe(order);
});

test("a version that is none is refused", async () => {
  const t = backend();
  await made(t);
  await saved(t, [row(0)]);
  await expect(saved(t, [row(0)], { version: "yesterday" })).rejects.toThrow("not a version");
});

describe("a save", () => {
  test("is written once, and said to be written each time", async () => {
    const t = backend();
    await made(t);
    const write = save([row(0), row(1)]);
    for (let n = 0; n < 3; n++) {
      expect((await t.mutation(internal.runs.save, write)).outcome).toBe("written");
    }
    expect(await count(t, "items")).toBe(2);
    const run = await t.query(internal.runs.get, { runId: "r" });
    expect(run?.revision).toBe(1);
  });

  test("is refused if it is older than what is stored, or an end is followed by none", async () => {
    const t = backend();
    await made(t);
    expect(await saved(t, [row(0, "new")], { version: "5-0" })).toBe("written");
    expect(await saved(t, [row(0, "old")], { version: "4-9" })).toBe("refused");
    expect(await saved(t, [row(0, "same")], { version: "5-0" })).toBe("refused");
    expect(await saved(t, [row(0, "end")], { version: "5-0", status: "error" })).toBe("written");
    expect(await saved(t, [row(0, "open")], { version: "9-0" })).toBe("refused");
    expect(await saved(t, [row(0, "end")], { version: "9-0", status: "complete" })).toBe("written");
    expect(await outputs(t)).toEqual(["end"]);
  });

  test("without what is not stored yet writes nothing and says what is there", async () => {
    const t = backend();
    await made(t);
    const first = save([row(3)], { outputs: 4 }, { tail: 3 });
    const missing = { outcome: "incomplete", outputs: 0, isNew: true };
    expect(await t.mutation(internal.runs.save, first)).toEqual(missing);
    expect(await count(t, "runs")).toBe(0);
    expect(await saved(t, [row(0)], {}, { whole: false })).toBe("incomplete");
    expect(await saved(t, [row(0)])).toBe("written");
    const second = save([row(3)], { outputs: 4, version: "2-0" }, { tail: 3 });
    expect(await t.mutation(internal.runs.save, second)).toMatchObject({ outputs: 1, isNew: false });
    const whole = [row(1), row(2), row(3)];
    const third = { outputs: 4, version: "2-0" };
    expect(await saved(t, whole, third, { tail: 1, whole: false })).toBe("written");
    expect(await outputs(t)).toHaveLength(4);
  });

  test("leaves the thread with its newest run, and its agent to whoever changes it", async () => {
    const t = backend();
    await made(t);
    const thread = async () => (await t.query(internal.threads.get, { threadId: "t" }))!;
    await saved(t, [], { runId: "old", createdAt: 1, updatedAt: 5, agentRole: "coder" });
    await saved(t, [], { runId: "new", createdAt: 2, updatedAt: 4, modelId: "n" });
    const later = { runId: "old", createdAt: 1, updatedAt: 9, version: "2-0", status: "error" };
    await saved(t, [], later);
    const expected = { modelId: "n", updatedAt: 5, newest: "in_progress", agentRole: "coder" };
    expect(await thread()).toMatchObject(expected);
    await t.mutation(internal.threads.update, { threadId: "t", now: 7, changes: { agentRole: "x" } });
    await saved(t, [], { runId: "new", createdAt: 2, agentRole: "y", version: "2-0" });
    expect((await thread()).agentRole).toBe("x");
  });
});

describe("parcels", () => {
  const many = (count: number, json: string) =>
    Array.from({ length: count }, (_, at) => row(at, `${json} ${at}`));

  async function sent(t: Backend, parcel: string, rows: ReturnType<typeof many>): Promise<boolean> {
    const asked = { parcel, threadId: "t", runId: "r", rows, chunks: [] };
    return await t.mutation(internal.parcels.store, asked);
  }

  test("count for nothing before the save that names them, and all at once with it", async () => {
    const t = backend();
    await made(t);
    await saved(t, many(10, "old"));
    expect(await sent(t, "p", many(10, "new"))).toBe(true);
    expect(await sent(t, "p", many(10, "new"))).toBe(true);
    expect(await count(t, "items")).toBe(20);
    expect(await outputs(t)).toEqual(many(10, "old").map(({ json }) => json));
    const named = { outputs: 10, version: "2-0" };
    expect(await saved(t, [], named, { parcels: ["p"] })).toBe("written");
    expect(await outputs(t)).toEqual(many(10, "new").map(({ json }) => json));
    await t.finishAllScheduledFunctions(vi.runAllTimers);
    expect(await outputs(t)).toEqual(many(10, "new").map(({ json }) => json));
    expect(await count(t, "items")).toBe(10);
  });

  test("win over each other in the order they were named, and lose to a later save", async () => {
    const t = backend();
    await made(t);
    await sent(t, "z", many(5, "first"));
    await saved(t, [], { outputs: 5 }, { parcels: ["z"] });
    await sent(t, "a", many(3, "second"));
    await saved(t, [], { outputs: 5, version: "2-0" }, { parcels: ["a"] });
    await saved(t, [row(1, "third")], { outputs: 5, version: "3-0" }, { tail: 5 });
    const expected = ["second 0", "third", "second 2", "first 3", "first 4"];
    expect(await outputs(t)).toEqual(expected);
    await t.finishAllScheduledFunctions(vi.runAllTimers);
    expect(await outputs(t)).toEqual(expected);
    expect(await count(t, "items")).toBe(5);
  });

  test("that were swept away are asked for again", async () => {
    const t = backend();
    await made(t);
    await sent(t, "p", many(5, "x"));
    await t.finishAllScheduledFunctions(vi.runAllTimers);
    expect(await count(t, "items")).toBe(0);
    expect(await saved(t, [], { outputs: 5 }, { parcels: ["p"] })).toBe("unstored");
    expect(await count(t, "runs")).toBe(0);
  });

  test("of a thousand rows are sorted in and removed within the limits of a transaction", async () => {
    const t = backend();
    await made(t);
    const rows = many(1200, "x");
    const parcels = ["a", "b", "c"];
    for (const [n, parcel] of parcels.entries()) {
      await sent(t, parcel, rows.slice(n * 400, (n + 1) * 400));
    }
    expect(await saved(t, [], { outputs: 1200 }, { parcels })).toBe("written");
    await t.finishAllScheduledFunctions(vi.runAllTimers);
    expect(await outputs(t)).toHaveLength(1200);
    await saved(t, [], { outputs: 1, version: "2-0" }, { tail: 1 });
    await t.finishAllScheduledFunctions(vi.runAllTimers);
    expect(await count(t, "items")).toBe(1);
  }, 60_000);

  test("of rows whose chunks go with them need no more calls than a mutation may schedule", async () => {
    const t = backend();
    await made(t);
    const rows = Array.from({ length: 1200 }, (_, at) => row(at, "", { body: `b${at}`, parts: 1 }));
    const chunks = rows.map(({ body }) => ({ body: body!, part: 0, json: "x", text: "", size: 1 }));
    for (const [parcel, rowsOf, chunksOf] of [
      ["c", [], chunks],
      ["r", rows, []],
    ] as const) {
      const asked = { parcel, threadId: "t", runId: "r", rows: [...rowsOf], chunks: [...chunksOf] };
      await t.mutation(internal.parcels.store, asked);
    }
    expect(await saved(t, [], { outputs: 1200 }, { parcels: ["r"] })).toBe("written");
    await t.finishAllScheduledFunctions(vi.runAllTimers);
    expect(await count(t, "chunks")).toBe(1200);
    await t.mutation(internal.threads.remove, { threadId: "t", token: "d" });
    await t.finishAllScheduledFunctions(vi.runAllTimers);
    expect((await count(t, "items")) + (await count(t, "chunks"))).toBe(0);
  }, 60_000);

  test("of chunks are swept away if nothing refers to them, and kept if something does", async () => {
    const t = backend();
    await made(t);
    const chunk = (body: string) => ({ body, part: 0, json: "x", text: "", size: 1 });
    for (const body of ["used", "unused"]) {
      const asked = { parcel: body, threadId: "t", runId: "r", rows: [], chunks: [chunk(body)] };
      await t.mutation(internal.parcels.store, asked);
    }
    await saved(t, [row(0, "", { body: "used", parts: 1 })]);
    await t.finishAllScheduledFunctions(vi.runAllTimers);
    expect(await count(t, "chunks")).toBe(1);
    expect(await t.query(internal.runs.body, { body: "used", from: 0, until: 1 })).toEqual(["x"]);
    await saved(t, [row(0, "small")], { version: "2-0" });
    await t.finishAllScheduledFunctions(vi.runAllTimers);
    expect(await count(t, "chunks")).toBe(0);
  });
});

test("a long thread is read in pages that may end within a run", async () => {
  const t = backend();
  await made(t);
  for (let n = 0; n < 3; n++) {
    const rows = Array.from({ length: 60 }, (_, at) => row(at, "x".repeat(45_000)));
    await saved(t, rows, { runId: `r${n}`, createdAt: n });
  }
  const found: Record<string, number> = {};
  let place: object = {};
  let pages = 0;
  for (;;) {
    const page = await t.query(internal.runs.list, { threadId: "t", ...place });
    pages += 1;
    for (const { runId, rows } of page.runs) found[runId] = (found[runId] ?? 0) + rows.length;
    if (page.next === null) break;
    place = page.next;
  }
  expect(found).toEqual({ r0: 60, r1: 60, r2: 60 });
  expect(pages).toBeGreaterThan(1);
});

test("a run is open until it has ended, and its owner seen for as long as it gives signs", async () => {
  const t = backend();
  await made(t);
  await saved(t, [], { owner: "me" });
  const seen = async () => (await t.mutation(internal.owners.open, {})).runs.map((run) => run.seen);
  expect(await seen()).toEqual([false]);
  await t.mutation(internal.owners.beat, { owner: "me" });
  expect(await seen()).toEqual([true]);
  vi.setSystemTime(Date.now() + LEASE_MS + 1);
  expect(await seen()).toEqual([false]);
  await saved(t, [], { owner: "me", status: "aborted", version: "2-0" });
  expect(await seen()).toEqual([]);
});

test("owners that have not been heard of for long are forgotten", async () => {
  const t = backend();
  await t.mutation(internal.owners.beat, { owner: "old" });
  vi.setSystemTime(Date.now() + 8 * 86_400_000);
  await t.mutation(internal.owners.beat, { owner: "new" });
  expect(await count(t, "owners")).toBe(1);
});
