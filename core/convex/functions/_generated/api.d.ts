/* eslint-disable */
/**
 * Generated `api` utility.
 *
 * THIS CODE IS AUTOMATICALLY GENERATED.
 *
 * To regenerate, run `npx convex dev`.
 * @module
 */

import type {
  ApiFromModules,
  FilterApi,
  FunctionReference,
} from "convex/server";
import type * as failures from "../failures.js";
import type * as limits from "../limits.js";
import type * as owners from "../owners.js";
import type * as parcels from "../parcels.js";
import type * as rows from "../rows.js";
import type * as runs from "../runs.js";
import type * as search from "../search.js";
import type * as status from "../status.js";
import type * as threadRows from "../threadRows.js";
import type * as threads from "../threads.js";
import type * as versions from "../versions.js";

/**
 * A utility for referencing Convex functions in your app's API.
 *
 * Usage:
 * ```js
 * const myFunctionReference = api.myModule.myFunction;
 * ```
 */
declare const fullApi: ApiFromModules<{
  failures: typeof failures;
  limits: typeof limits;
  owners: typeof owners;
  parcels: typeof parcels;
  rows: typeof rows;
  runs: typeof runs;
  search: typeof search;
  status: typeof status;
  threadRows: typeof threadRows;
  threads: typeof threads;
  versions: typeof versions;
}>;
export declare const api: FilterApi<
  typeof fullApi,
  FunctionReference<any, "public">
>;
export declare const internal: FilterApi<
  typeof fullApi,
  FunctionReference<any, "internal">
>;
