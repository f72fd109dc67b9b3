/** How much one transaction does before it leaves the rest to the next: well within the limits. */

/** Bytes read or written; Convex allows 16 MiB. */
export const BYTES = 4 * 1024 * 1024;
/** Documents read or written; Convex allows 16,000 to be written, and four times as many read. */
export const DOCUMENTS = 2_000;
/** Index ranges read; Convex allows 4,096. */
export const RANGES = 1_000;

/** What is left of the limits for the transaction at hand. */
export class Budget {
  private bytes = BYTES;
  private documents = DOCUMENTS;
  private ranges = RANGES;

  /** Count a document. */
  spend(bytes: number): void {
    this.bytes -= bytes;
    this.documents -= 1;
  }

  /** Count a range that was asked for. */
  ask(): void {
    this.ranges -= 1;
  }

  get isSpent(): boolean {
    return this.bytes <= 0 || this.documents <= 0 || this.ranges <= 0;
  }
}
