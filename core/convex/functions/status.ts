/** What is deployed here. */

import { internalQuery } from "./_generated/server";

/**
 * The version of what the functions promise their client. It is raised, here and in
 * `cody_core/stores/convex_api.py`, when an older client or older functions would no longer do.
 */
export const VERSION = 1;

export const get = internalQuery({ args: {}, handler: async () => ({ version: VERSION }) });
