/** The sync protocol: subscriptions over a WebSocket, as the official clients speak it. */

import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";

import type { JSONValue } from "convex/values";
import { WebSocketServer, type WebSocket } from "ws";

import type { Deployment } from "./deployment";
import { stringify } from "./json";

const PING_MS = 10_000;
/** How often it is looked whether queries have to be run again. */
const LOOK_MS = 10;

interface Query {
  path: string;
  args: JSONValue;
  last?: string;
}

interface ClientMessage {
  type: string;
  tokenType?: string;
  value?: string;
  baseVersion?: number;
  newVersion?: number;
  modifications?: { type: "Add" | "Remove"; queryId: number; udfPath?: string; args?: JSONValue[] }[];
}

/** All connections of a deployment. */
export class Sync {
  private readonly server = new WebSocketServer({ noServer: true });
  private readonly sessions = new Set<Session>();
  private isChanged = false;

  constructor(
    private readonly deployment: Deployment,
    private readonly isAdmin: (key: string | undefined) => boolean,
  ) {
    setInterval(() => this.look(), LOOK_MS);
  }

  get subscribers(): number {
    return [...this.sessions].filter((session) => session.queries.size > 0).length;
  }

  accept(request: IncomingMessage, socket: Socket, head: Buffer): void {
    if (!/^\/api\/([^/]+\/)?sync$/.test(request.url ?? "")) {
      socket.destroy();
      return;
    }
    this.server.handleUpgrade(request, socket, head, (webSocket) => {
      const session = new Session(webSocket, this.deployment, this.isAdmin);
      this.sessions.add(session);
      webSocket.once("close", () => {
        this.sessions.delete(session);
        session.close();
      });
    });
  }

  /** Take note that something was written; it is still within its transaction, which has no timers. */
  changed(): void {
    this.isChanged = true;
  }

  private look(): void {
    if (!this.isChanged) return;
    this.isChanged = false;
    for (const session of this.sessions) session.refresh();
  }

  /** Cut all connections. */
  drop(): void {
    for (const session of this.sessions) session.cut();
  }
}

/** One connection: who it is, what it watches, and which version of that it has been told. */
class Session {
  readonly queries = new Map<number, Query>();
  private isAuthorised = false;
  private version = { querySet: 0, identity: 0, ts: 0n };
  private work = Promise.resolve();
  private readonly pings: NodeJS.Timeout;

  constructor(
    private readonly socket: WebSocket,
    private readonly deployment: Deployment,
    private readonly isAdmin: (key: string | undefined) => boolean,
  ) {
    this.pings = setInterval(() => this.send({ type: "Ping" }), PING_MS);
    socket.on("message", (data) => this.then(() => this.take(JSON.parse(String(data)))));
    socket.on("error", () => this.cut());
  }

  close(): void {
    clearInterval(this.pings);
    this.queries.clear();
  }

  cut(): void {
    this.socket.terminate();
  }

  refresh(): void {
    if (this.queries.size > 0) this.then(() => this.transition({}));
  }

  /** Messages are answered in their order. */
  private then(act: () => Promise<void>): void {
    this.work = this.work.then(act).catch(() => this.cut());
  }

  private async take(message: ClientMessage): Promise<void> {
    switch (message.type) {
      case "Authenticate": {
        this.isAuthorised = message.tokenType === "Admin" && this.isAdmin(message.value);
        if (message.tokenType !== "None" && !this.isAuthorised) {
          const error = "The provided deploy key was invalid for this deployment.";
          this.send({ type: "FatalError", error });
          this.socket.close();
          return;
        }
        await this.transition({ identity: this.version.identity + 1 });
        return;
      }
      case "ModifyQuerySet":
        for (const { type, queryId, udfPath, args } of message.modifications ?? []) {
          if (type === "Remove") this.queries.delete(queryId);
          else this.queries.set(queryId, { path: asPath(udfPath!), args: args?.[0] ?? {} });
        }
        await this.transition({ querySet: message.newVersion! });
    }
  }

  /** Run all queries and tell what has changed; without a change of versions, only if any has. */
  private async transition(next: { querySet?: number; identity?: number }): Promise<void> {
    const modifications: JSONValue[] = [];
    for (const [queryId, query] of this.queries) {
      const outcome = await this.deployment.call("query", query.path, query.args, this.isAuthorised);
      const told = JSON.stringify(outcome);
      if (told === query.last) continue;
      query.last = told;
      const common = { queryId, logLines: [], journal: null };
      if (outcome.status === "success") {
        modifications.push({ type: "QueryUpdated", ...common, value: outcome.value });
      } else {
        const { errorMessage, errorData } = outcome;
        const data: Record<string, JSONValue> = errorData === undefined ? {} : { errorData };
        modifications.push({ type: "QueryFailed", ...common, errorMessage, ...data });
      }
    }
    if (modifications.length === 0 && Object.keys(next).length === 0) return;
    const startVersion = encoded(this.version);
    this.version = { ...this.version, ...next, ts: BigInt(Date.now()) * 1_000_000n };
    this.send({ type: "Transition", startVersion, endVersion: encoded(this.version), modifications });
  }

  private send(message: JSONValue): void {
    if (this.socket.readyState === this.socket.OPEN) this.socket.send(text(message));
  }
}

/** Versions and ids are integers here; only the values of queries are floats. */
function text(message: JSONValue): string {
  const { modifications, ...rest } = message as Record<string, JSONValue>;
  if (modifications === undefined) return JSON.stringify(rest);
  const told = (modifications as Record<string, JSONValue>[]).map(({ value, ...modification }) => {
    const head = JSON.stringify(modification).slice(0, -1);
    return value === undefined ? `${head}}` : `${head},"value":${stringify(value)}}`;
  });
  return `${JSON.stringify(rest).slice(0, -1)},"modifications":[${told.join(",")}]}`;
}

/** Clients say `threads.js:list`, `threads:list` or `threads`. */
function asPath(udfPath: string): string {
  return udfPath.replace(/\.js(?=:|$)/, "");
}

function encoded(version: { querySet: number; identity: number; ts: bigint }): JSONValue {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(version.ts);
  return { ...version, ts: bytes.toString("base64") };
}
