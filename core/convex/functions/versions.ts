/** Versions are offsets of the event log, `ms-sequence`; the sequence may be larger than 2^53. */

/** Tell whether `left` is newer (1), older (-1) or the same (0). */
export function compared(left: string, right: string): number {
  const [leftMs, leftSequence] = parts(left);
  const [rightMs, rightSequence] = parts(right);
  if (leftMs !== rightMs) return leftMs < rightMs ? -1 : 1;
  if (leftSequence !== rightSequence) return leftSequence < rightSequence ? -1 : 1;
  return 0;
}

function parts(version: string): [bigint, bigint] {
  const found = /^(\d{1,20})-(\d{1,20})$/.exec(version);
  if (!found) throw new TypeError(`${JSON.stringify(version)} is not a version`);
  return [BigInt(found[1]!), BigInt(found[2]!)];
}
