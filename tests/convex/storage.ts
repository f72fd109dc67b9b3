/**
 * Lookups for convex-test, which scans all documents for every query: with thousands of them that
 * would be most of the time of the tests. What a query finds does not change, only how long it takes.
 */

// @ts-expect-error: the bundle exports the class of its storage, which its types do not know.
import { DatabaseFake } from "convex-test";

type Document = Record<string, unknown> & { _id: string };
type Writes = Record<string, Document | null>;
type Range = { type: string; fieldPath: string; value: unknown }[];

interface Source {
  type: string;
  indexName?: string;
  range?: Range;
}

interface Storage {
  _documents: Record<string, Document>;
  _writes: Writes[];
  get(table: undefined, id: string): Document | null;
  commit(commitTs: bigint | null): void;
  _resolveQuerySource(query: { source: Source }): unknown;
  _iterateDocs(table: string, visit: (document: Document) => void): void;
}

/** Ids of the documents of one table, by the values of some fields. */
class Lookup {
  private readonly ids = new Map<string, Set<string>>();

  constructor(
    readonly table: string,
    private readonly fields: string[],
  ) {}

  add(document: Document): void {
    const key = this.key(document);
    this.ids.set(key, (this.ids.get(key) ?? new Set()).add(document._id));
  }

  remove(document: Document): void {
    this.ids.get(this.key(document))?.delete(document._id);
  }

  find(values: unknown[]): Iterable<string> {
    return this.ids.get(JSON.stringify(values)) ?? [];
  }

  private key(document: Document): string {
    return JSON.stringify(this.fields.map((field) => document[field]));
  }
}

const lookups = new WeakMap<Storage, Map<string, Lookup>>();
const wanted = new WeakMap<Storage, { fields: string[]; values: unknown[] }>();

/** Let every storage of convex-test look documents up. */
export function lookUp(): void {
  const storage = DatabaseFake.prototype as Storage;
  const { commit, _resolveQuerySource: resolve } = storage;

  storage.commit = function (this: Storage, commitTs) {
    const writes = this._writes.length === 1 ? Object.keys(this._writes[0]!) : [];
    const before = writes.map((id) => this._documents[id]);
    commit.call(this, commitTs);
    for (const lookup of lookups.get(this)?.values() ?? []) {
      for (const document of before) if (belongs(document, lookup)) lookup.remove(document!);
      for (const id of writes) {
        const document = this._documents[id];
        if (belongs(document, lookup)) lookup.add(document!);
      }
    }
  };

  storage._resolveQuerySource = function (this: Storage, query) {
    // The functions look for strings, numbers and booleans only, which are in JSON what they are.
    const equal = (query.source.range ?? []).filter(({ type }) => type === "Eq");
    const fields = equal.map(({ fieldPath }) => fieldPath);
    wanted.set(this, { fields, values: equal.map(({ value }) => value) });
    return resolve.call(this, query);
  };

  storage._iterateDocs = function (this: Storage, table, visit) {
    const { fields, values } = wanted.get(this) ?? { fields: [], values: [] };
    wanted.delete(this);
    const ids = new Set(lookup(this, table, fields).find(values));
    for (const writes of this._writes) {
      for (const [id, document] of Object.entries(writes)) {
        if (document === null || fields.every((field, n) => document[field] === values[n])) {
          if (tableOf(id) === table) ids.add(id);
        }
      }
    }
    for (const id of ids) {
      const document = this.get(undefined, id);
      if (document !== null) visit(document);
    }
  };
}

function lookup(storage: Storage, table: string, fields: string[]): Lookup {
  const known = lookups.get(storage) ?? new Map<string, Lookup>();
  lookups.set(storage, known);
  const name = [table, ...fields].join(" ");
  const found = known.get(name);
  if (found !== undefined) return found;
  const made = new Lookup(table, fields);
  known.set(name, made);
  for (const document of Object.values(storage._documents)) {
    if (belongs(document, made)) made.add(document);
  }
  return made;
}

function belongs(document: Document | undefined, lookup: Lookup): boolean {
  return document !== undefined && tableOf(document._id) === lookup.table;
}

function tableOf(id: string): string {
  return id.replace(/^\d+/, "");
}
