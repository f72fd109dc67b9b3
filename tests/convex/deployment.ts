/** A deployment: the real functions over convex-test, and the rules that convex-test leaves out. */

import { convexTest } from "convex-test";
import type { GenericSchema, SchemaDefinition } from "convex/server";
import { convexToJson, getConvexSize, jsonToConvex, type JSONValue, type Value } from "convex/values";

import { refuseArguments, refuseDocument, refuseValue } from "./limits";
import { lookUp } from "./storage";

export type Kind = "query" | "mutation" | "action";
export type Schema = SchemaDefinition<GenericSchema, boolean>;
export type Modules = Record<string, () => Promise<Record<string, unknown>>>;

/** How a call went, as the HTTP API tells it. */
export type Outcome =
  | { status: "success"; value: JSONValue }
  | { status: "error"; errorMessage: string; errorData?: JSONValue };

interface Registered {
  isQuery?: boolean;
  isMutation?: boolean;
  isAction?: boolean;
  isPublic?: boolean;
}

const FLAGS = { query: "isQuery", mutation: "isMutation", action: "isAction" } as const;
const WRITES = new Set(["1.0/insert", "1.0/replace", "1.0/shallowMerge", "1.0/remove"]);

export class Deployment {
  /** Called when something may have been written. */
  onWrite: () => void = () => {};
  /** Whether errors are told to clients; a production deployment keeps them to itself. */
  tellsErrors = true;
  /** Why no function runs, if the deployment is stopped. */
  stopped: string | undefined;
  /** What is deployed, in place of the real functions: nothing, or a version that it claims to be. */
  deployed: { version: number | null } | undefined;
  /** Calls by function. */
  readonly calls = new Map<string, number>();
  private backend: ReturnType<typeof convexTest>;

  constructor(
    private readonly schema: Schema,
    private readonly modules: Modules,
  ) {
    lookUp();
    this.backend = this.fresh();
    watchWrites(() => this.onWrite());
  }

  /** Begin anew, with nothing stored. */
  clear(): void {
    this.backend = this.fresh();
    this.calls.clear();
  }

  /** Turn all switches off. */
  restore(): void {
    this.tellsErrors = true;
    this.stopped = this.deployed = undefined;
  }

  /** Return how many documents each table has. */
  async counts(): Promise<Record<string, number>> {
    const found: Record<string, number> = {};
    for (const table of Object.keys(this.schema.tables)) {
      found[table] = await this.backend.run(
        // Convex has this, and keeps it out of its types; `collect` would be over the limits.
        (ctx) => (ctx.db.query(table) as unknown as { count(): Promise<number> }).count(),
      );
    }
    return found;
  }

  /** Return the arguments of the functions of that name that wait for their time, first come first. */
  async scheduled(name: string): Promise<JSONValue[]> {
    const jobs = await this.backend.run((ctx) => ctx.db.system.query("_scheduled_functions").collect());
    return jobs
      .filter((job) => job.state.kind === "pending" && job.name === name)
      .map((job) => convexToJson(job.args[0] as Value));
  }

  /** Call a function; whoever is no administrator finds only the public ones. */
  async call(kind: Kind, path: string, args: JSONValue, isAdmin: boolean): Promise<Outcome> {
    this.calls.set(path, (this.calls.get(path) ?? 0) + 1);
    try {
      if (this.stopped !== undefined) throw new Error(this.stopped);
      if (this.deployed?.version && path === "status:get") {
        return { status: "success", value: { version: this.deployed.version } };
      }
      const found = await this.find(kind, path);
      if (!found.isPublic && !isAdmin) {
        throw new Error(`Could not find public function for '${path}'.`);
      }
      const values = jsonToConvex(args) as Record<string, Value>;
      refuseArguments(values);
      const value = await this.run(kind, path, values);
      refuseValue(value);
      if (getConvexSize(value) > 16 * 1024 * 1024) throw new Error("Function return value too large");
      return { status: "success", value: convexToJson(value) };
    } catch (error) {
      return this.failure(error);
    }
  }

  private async run(kind: Kind, path: string, args: Record<string, Value>): Promise<Value> {
    const call = this.backend[kind] as (name: unknown, args: unknown) => Promise<Value | undefined>;
    const reference = { [Symbol.for("functionName")]: path };
    return (await call(reference, args)) ?? null;
  }

  private async find(kind: Kind, path: string): Promise<Registered> {
    const [file, name] = path.split(":");
    const load = this.modules[`./${file}.ts`];
    const found = (await load?.())?.[name ?? "default"] as Registered | undefined;
    if (!found?.[FLAGS[kind]] || this.deployed !== undefined) {
      throw new Error(`Could not find function for '${path}'. Did you forget to run \`npx convex dev\`?`);
    }
    return found;
  }

  private failure(error: unknown): Outcome {
    const thrown = error as { message?: string; data?: Value };
    const said = this.tellsErrors ? `\nUncaught Error: ${thrown.message}` : "";
    const errorMessage = `[Request ID: 0123456789abcdef] Server Error${said}`;
    if (Symbol.for("ConvexError") in (error as object)) {
      return { status: "error", errorMessage, errorData: convexToJson(thrown.data ?? null) };
    }
    return { status: "error", errorMessage };
  }

  private fresh(): ReturnType<typeof convexTest> {
    return convexTest({ schema: this.schema, modules: this.modules, transactionLimits: true });
  }
}

/** See every write, and refuse documents that Convex would refuse. */
function watchWrites(onWrite: () => void): void {
  const host = globalThis as unknown as { Convex: Syscalls };
  const real = host.Convex;
  host.Convex = {
    get syscall() {
      return real.syscall;
    },
    get jsSyscall() {
      return real.jsSyscall;
    },
    get asyncSyscall() {
      const call = real.asyncSyscall;
      return async (op: string, json: string) => {
        if (!WRITES.has(op)) return await call(op, json);
        const { value } = JSON.parse(json) as { value?: JSONValue };
        if (value !== undefined) refuseDocument(value);
        const result = await call(op, json);
        onWrite();
        return result;
      };
    },
  };
}

interface Syscalls {
  readonly syscall: unknown;
  readonly jsSyscall: unknown;
  readonly asyncSyscall: (op: string, json: string) => Promise<unknown>;
}
