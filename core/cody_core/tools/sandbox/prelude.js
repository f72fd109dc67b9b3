// What a script finds in its world, and what is taken from it. Evaluated before every script, in a
// fresh context: `host` is the only way out, and no script ever holds it.
//
// Everything used after the script has begun is captured here first, because the script may replace
// any global and any method. Objects made here for our own use have no prototype for that reason.
(function (host, toolNames, contextText, argumentChars, logBytes) {
  "use strict";

  const { parse, stringify } = JSON;
  const { apply } = Reflect;
  const { create, defineProperty, freeze, getOwnPropertyNames } = Object;
  const { isArray } = Array;
  const { isError } = Error;
  const { min: least } = Math;
  const Fault = Error, TypeFault = TypeError, OutOfMemory = InternalError;
  const Task = Promise, Text = String, number = Number;
  const Nested = [Task, Map, Set];
  const hints = ["a promise: await it", "a Map: use Object.fromEntries", "a Set: use Array.from"];
  const method = (of) => (self, ...rest) => apply(of, self, rest);
  const slice = method(String.prototype.slice);
  const wellFormed = method(String.prototype.toWellFormed);
  const describeSymbol = method(Symbol.prototype.toString);
  const isInstance = method(Function.prototype[Symbol.hasInstance]);
  const codeOf = method(WeakMap.prototype.get);
  const setCode = method(WeakMap.prototype.set);

  const codes = new WeakMap();
  const pending = create(null);
  const timers = create(null);
  const known = create(null);
  const names = parse(toolNames);
  let last = 0;
  let logged = 0;
  let over = false;

  const coded = (error, code) => {
    setCode(codes, error, code);
    return error;
  };

  // --- console ---------------------------------------------------------------------------------

  const short = (text, most) => (text.length > most ? slice(text, 0, most) + "…" : text);

  const field = (value, key) => {
    try {
      const found = value[key];
      return typeof found === "string" ? found : undefined;
    } catch {
      return undefined;
    }
  };

  const showError = (error) => {
    const name = field(error, "name") ?? "Error";
    const message = field(error, "message") ?? "";
    return message === "" ? name : name + ": " + message;
  };

  const showInside = function (key, value) {
    switch (typeof value) {
      case "bigint":
        return Text(value) + "n";
      case "function":
        return "[function]";
      case "symbol":
        return describeSymbol(value);
      case "object":
        return value !== null && isError(value) ? showError(value) : value;
      default:
        return value;
    }
  };

  const show = (value) => {
    switch (typeof value) {
      case "string":
        return value;
      case "function":
        return "[function " + (field(value, "name") ?? "") + "]";
      case "bigint":
        return Text(value) + "n";
      case "symbol":
        return describeSymbol(value);
      case "object":
        if (value === null) return "null";
        if (isError(value)) return showError(value);
        try {
          return stringify(value, showInside) ?? "undefined";
        } catch (error) {
          return "[object that cannot be shown]";
        }
      default:
        return Text(value);
    }
  };

  const write = (prefix) => (...values) => {
    if (over) return;
    let line = prefix;
    // Once the log is full, lines are only counted: nothing is worth formatting.
    if (logged < logBytes) {
      for (let i = 0; i < values.length; i++) {
        line += (i > 0 ? " " : "") + short(show(values[i]), logBytes);
      }
      line = short(line, logBytes);
    }
    logged += line.length + 1;
    host(stringify({ __proto__: null, log: wellFormed(line) }));
  };

  // --- tools -----------------------------------------------------------------------------------

  const ended = () => new Fault("the script has ended");

  const begin = (name, values, error) => {
    if (over) throw ended();
    const given = values.length > 0 ? values[0] : undefined;
    const named = typeof given === "object" && given !== null && !isArray(given);
    if (values.length > 1 || (given !== undefined && !named)) {
      throw new TypeFault("tools." + name + " takes one object with named arguments");
    }
    const text = given === undefined ? "{}" : stringify(given);
    if (text === undefined) throw new TypeFault("the arguments of tools." + name + " are no JSON");
    if (text.length > argumentChars) {
      const message = " are longer than " + argumentChars + " characters";
      throw coded(new Fault("the arguments of tools." + name + message), "arguments_too_large");
    }
    return new Task((resolve, reject) => {
      const id = ++last;
      pending[id] = { __proto__: null, resolve, reject, error };
      host(stringify({ __proto__: null, call: id, name, arguments: text }));
    });
  };

  for (let i = 0; i < names.length; i++) {
    const name = names[i];
    // Made now, not when the call fails: its stack is where the script called from.
    const tool = { [name](...values) { return begin(name, values, new Fault()); } }[name];
    known[name] = freeze(tool);
  }
  freeze(known);

  const tools = new Proxy(known, {
    __proto__: null,
    get(target, key) {
      // Asked by `await`, JSON and template strings, of every object.
      const asked = typeof key !== "string" || key === "then" || key === "toJSON";
      if (asked || key in target) return target[key];
      const message = "there is no tool named " + stringify(key) + "; there are: " + listed;
      throw coded(new Fault(message), "unknown_tool");
    },
  });
  const listed = names.length > 0 ? names.join(", ") : "none";

  const settle = (answer) => {
    const { id, ok, text, code } = parse(answer);
    const waiting = pending[id];
    if (waiting === undefined) return;
    delete pending[id];
    if (ok) {
      waiting.resolve(parse(text));
      return;
    }
    const { error } = waiting;
    const told = (value) => ({ __proto__: null, value, configurable: true, writable: true });
    defineProperty(error, "name", told("ToolError"));
    defineProperty(error, "message", told(text));
    waiting.reject(coded(error, code));
  };

  const sleep = (milliseconds = 0) => {
    if (over) throw ended();
    const time = number(milliseconds);
    return new Task((resolve) => {
      const id = ++last;
      timers[id] = resolve;
      const most = time > 0 ? least(time, 1e9) : 0;
      host(stringify({ __proto__: null, sleep: id, milliseconds: most }));
    });
  };

  const wake = (id) => {
    const resolve = timers[id];
    delete timers[id];
    resolve();
  };

  // --- the end ---------------------------------------------------------------------------------

  const refuse = (key, what) => {
    const where = key === "" ? "the result" : "the result, at " + stringify(key) + ",";
    throw coded(new TypeFault(where + " is " + what), "result_not_serializable");
  };

  const check = function (key, value) {
    if (typeof value === "function") refuse(key, "a function");
    if (typeof value === "symbol") refuse(key, "a symbol");
    if (typeof value === "bigint") refuse(key, "a BigInt: use Number or String");
    if (typeof value === "object" && value !== null) {
      for (let i = 0; i < 3; i++) if (isInstance(Nested[i], value)) refuse(key, hints[i]);
    }
    return value;
  };

  const finish = (value) => {
    over = true;
    if (value === undefined) return "null";
    try {
      return stringify(value, check) ?? "null";
    } catch (error) {
      if (isError(error) && (isInstance(OutOfMemory, error) || codeOf(codes, error))) throw error;
      const message = "the result cannot be said in JSON: " + short(show(error), 500);
      throw coded(new TypeFault(message), "result_not_serializable");
    }
  };

  const explain = (reason) => {
    over = true;
    const told = { __proto__: null, name: "Error", message: "", stack: "", code: "script_error" };
    const isObject = typeof reason === "object" && reason !== null;
    if (isObject && field(reason, "message") !== undefined) {
      told.name = short(field(reason, "name") ?? "Error", 200);
      told.message = short(field(reason, "message"), 8000);
      told.stack = short(field(reason, "stack") ?? "", 8000);
      told.code = codeOf(codes, reason) ?? told.code;
      const exhausted = isInstance(OutOfMemory, reason) && told.message === "out of memory";
      if (exhausted) told.code = "memory_limit";
    } else {
      told.name = "Uncaught";
      told.message = short(show(reason), 8000);
    }
    return stringify(told);
  };

  // --- what the script sees, and what it does not ----------------------------------------------

  const freezeAll = (value) => {
    if (typeof value !== "object" || value === null) return value;
    const keys = getOwnPropertyNames(value);
    for (let i = 0; i < keys.length; i++) freezeAll(value[keys[i]]);
    return freeze(value);
  };

  const log = write("");
  const give = (name, value) =>
    // Configurable, so that a script may declare a variable of that name.
    defineProperty(globalThis, name, { __proto__: null, value, configurable: true });
  give("tools", tools);
  give("sleep", freeze(sleep));
  give("context", freezeAll(parse(contextText)));
  give("console", freeze({
    log,
    info: log,
    warn: write("[warn] "),
    error: write("[error] "),
    debug: write("[debug] "),
  }));

  // A function made from text is reachable from any function by `constructor`, unless taken away.
  const kinds = [function () {}, async function () {}, function* () {}, async function* () {}];
  for (let i = 0; i < kinds.length; i++) {
    const prototype = Reflect.getPrototypeOf(kinds[i]);
    defineProperty(prototype, "constructor", { __proto__: null, value: undefined });
  }
  const taken = ["eval", "Function", "WebAssembly", "Atomics", "SharedArrayBuffer", "$host"];
  for (let i = 0; i < taken.length; i++) delete globalThis[taken[i]];
  // Its call sites would hand out the functions above, `host` among them.
  delete Error.prepareStackTrace;

  return { __proto__: null, settle, wake, finish, explain };
})
