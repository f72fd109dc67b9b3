/** The server: Convex's HTTP API and sync protocol on one port, the switches for tests on another. */

import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";

import type { JSONValue } from "convex/values";

import { Deployment, type Kind, type Modules, type Schema } from "./deployment";
import { Faults, type Chances, type Fault } from "./faults";
import { stringify } from "./json";
import { Sync } from "./sync";

const KEY = "test|a-key-that-opens-nothing-else";
const KINDS: readonly string[] = ["query", "mutation", "action"];
/** How often, and after how many milliseconds, a port that is taken is asked for again. */
const TRIES = 200;
const PAUSE_MS = 50;
const realNow = Date.now;

/** Serve until standard input ends. */
export async function serve(schema: Schema, modules: Modules): Promise<void> {
  const api = new Api(new Deployment(schema, modules), new Faults());
  const control = createServer((request, response) => void api.control(request, response));
  await api.start(0);
  const controlPort = await listen(control, 0);
  const url = `http://127.0.0.1:${api.port}`;
  console.log(JSON.stringify({ url, key: KEY, control: `http://127.0.0.1:${controlPort}` }));
  process.stdin.resume().once("end", () => process.exit());
}

class Api {
  port = 0;
  private server: Server | null = null;
  private readonly sockets = new Set<Socket>();
  private readonly sync: Sync;

  constructor(
    private readonly deployment: Deployment,
    private readonly faults: Faults,
  ) {
    this.sync = new Sync(deployment, isAdmin);
    deployment.onWrite = () => this.sync.changed();
  }

  async start(port = this.port): Promise<void> {
    const server = createServer((request, response) => {
      // Whoever asked may be gone before the question is read.
      this.answer(request, response).catch(() => drop(response));
    });
    server.on("connection", (socket) => {
      this.sockets.add(socket);
      socket.once("close", () => this.sockets.delete(socket));
    });
    server.on("upgrade", (request, socket, head) => this.sync.accept(request, socket as Socket, head));
    server.keepAliveTimeout = 60_000;
    this.server = server;
    this.port = await listen(server, port);
  }

  async stop(): Promise<void> {
    const server = this.server;
    this.server = null;
    const closed = new Promise((resolve) => server?.close(resolve));
    for (const socket of this.sockets) socket.destroy();
    if (server !== null) await closed;
  }

  /** Answer a call of the HTTP API. */
  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const kind = /^\/api\/(\w+)$/.exec(request.url ?? "")?.[1] ?? "";
    if (request.method === "GET" && request.url === "/version") return end(response, 200, "test");
    if (request.method !== "POST" || !KINDS.includes(kind)) {
      return send(response, 404, { code: "NotFound", message: "there is nothing here" });
    }
    const { path, args } = JSON.parse(await body(request)) as { path: string; args: JSONValue };
    const fault = this.faults.pick(path);
    await this.faults.wait();
    if (fault === "before") return drop(response);
    if (typeof fault === "number" && fault > 0) return refuse(response, fault);
    const { authorization } = request.headers;
    const key = /^Convex (.*)$/.exec(authorization ?? "")?.[1];
    if (authorization !== undefined && !isAdmin(key)) {
      const message = "The provided deploy key was invalid for this deployment.";
      return send(response, 403, { code: "BadDeployKey", message });
    }
    const outcome = await this.deployment.call(kind as Kind, path, args, isAdmin(key));
    if (fault === "after" || this.server === null) return drop(response);
    if (typeof fault === "number") return refuse(response, -fault);
    send(response, 200, outcome as unknown as JSONValue);
  }

  /** Turn a switch. */
  async control(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const asked = JSON.parse((await body(request)) || "{}") as Record<string, unknown>;
    switch (request.url) {
      case "/faults":
        this.faults.set(asked as Chances);
        break;
      case "/next":
        this.faults.queue(asked.faults as Fault[]);
        break;
      case "/errors":
        this.deployment.tellsErrors = asked.told as boolean;
        break;
      case "/stopped":
        this.deployment.stopped = asked.reason as string;
        break;
      case "/deployed":
        this.deployment.deployed = { version: asked.version as number | null };
        break;
      case "/clock":
        Date.now = () => realNow() + (asked.ahead as number);
        break;
      case "/reset":
        this.reset();
        if (this.server === null) await this.start();
        break;
      case "/stop":
        await this.stop();
        if (asked.forget) this.deployment.clear();
        break;
      case "/start":
        if (this.server === null) await this.start();
        break;
      case "/stats":
        return send(response, 200, {
          calls: Object.fromEntries(this.deployment.calls),
          documents: await this.deployment.counts(),
          sweeps: await this.deployment.scheduled("parcels:sweep"),
          subscribers: this.sync.subscribers,
        });
      default:
        return send(response, 404, {});
    }
    send(response, 200, {});
  }

  private reset(): void {
    this.faults.set({});
    this.deployment.restore();
    Date.now = realNow;
    this.deployment.clear();
    this.sync.drop();
  }
}

function isAdmin(key: string | undefined): boolean {
  return key === KEY;
}

/** Listen on a port. That of a server that was away may be a connection's by now: it is waited for. */
async function listen(server: Server, port: number): Promise<number> {
  for (let tries = 1; !server.listening; tries++) {
    try {
      await once(server.listen(port, "127.0.0.1"), "listening");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE" || tries === TRIES) throw error;
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }
  return (server.address() as AddressInfo).port;
}

async function body(request: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(piece as Buffer);
  return Buffer.concat(pieces).toString();
}

function drop(response: ServerResponse): void {
  response.socket?.destroy();
}

function refuse(response: ServerResponse, status: number): void {
  const codes: Record<number, string> = { 429: "TooManyConcurrentRequests", 503: "Overloaded" };
  const code = codes[status] ?? "InternalServerError";
  send(response, status, { code, message: "this is one of the server's faults" });
}

function send(response: ServerResponse, status: number, value: JSONValue): void {
  response.setHeader("Content-Type", "application/json");
  end(response, status, stringify(value));
}

function end(response: ServerResponse, status: number, text: string): void {
  response.statusCode = status;
  response.end(text);
}
