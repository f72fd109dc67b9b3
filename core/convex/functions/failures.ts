/** What a client has to recognise: its message may be redacted, its data is not. */

import { ConvexError } from "convex/values";

export type Code =
  /** A thread has more tags than it may have. */
  | "too_many_tags"
  /** Rows of the run are still being sorted in: try again in a moment. */
  | "busy";

export function failure(code: Code): ConvexError<{ code: Code }> {
  return new ConvexError({ code });
}
