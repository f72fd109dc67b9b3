/** What Convex refuses and convex-test lets through: sizes, nesting, arrays, names of fields. */

import { getConvexSize, jsonToConvex, type JSONValue, type Value } from "convex/values";

const MIB = 1024 * 1024;
const ARGUMENTS = 16 * MIB;
const DOCUMENT = MIB;
const NESTING = 16;
const ELEMENTS = 8192;
const FIELDS = 1024;

export function refuseArguments(args: Record<string, Value>): void {
  refuseValue(args);
  if (getConvexSize(args) > ARGUMENTS) throw new Error("Arguments are too large (16 MiB at most)");
}

/** Refuse a document; of a patch, what it says. */
export function refuseDocument(json: JSONValue): void {
  const fields = Object.entries(json as Record<string, JSONValue>).filter(([, value]) => !isGone(value));
  const value = jsonToConvex(Object.fromEntries(fields));
  refuseValue(value);
  if (getConvexSize(value) > DOCUMENT) throw new Error("Value is too large (1 MiB at most)");
}

function isGone(value: JSONValue): boolean {
  return typeof value === "object" && value !== null && "$undefined" in value;
}

export function refuseValue(value: Value, depth = 0): void {
  if (typeof value === "string") {
    // Array.from goes by code points: only a surrogate without its half is one by itself.
    if (/[\ud800-\udfff]/u.test(value)) throw new Error("Strings must be valid Unicode");
    return;
  }
  if (value === null || typeof value !== "object" || value instanceof ArrayBuffer) return;
  if (depth >= NESTING) throw new Error("Value is too nested (16 levels at most)");
  if (Array.isArray(value)) {
    if (value.length > ELEMENTS) throw new Error(`Array has too many elements (${ELEMENTS} at most)`);
    for (const element of value) refuseValue(element, depth + 1);
    return;
  }
  const fields = Object.entries(value as Record<string, Value>);
  if (fields.length > FIELDS) throw new Error(`Object has too many fields (${FIELDS} at most)`);
  for (const [name, field] of fields) {
    if (!/^[ -~]*$/.test(name) || name.startsWith("$")) throw new Error(`Field name ${name} is invalid`);
    refuseValue(field, depth + 1);
  }
}
