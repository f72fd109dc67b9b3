/** Faults: what goes wrong between a client and the deployment, by chance or as told. */

/**
 * `before`: the connection is dropped before anything is done. `after`: the same when all is done.
 * A number: the HTTP status that is answered, without anything done; negative, after all was done;
 * 0 if nothing goes wrong.
 */
export type Fault = "before" | "after" | number;

export interface Chances {
  /** Milliseconds that every answer takes longer, from and to. */
  delay?: [number, number];
  /** Chances of each fault, from 0 to 1; `statuses` is shared by those listed. */
  before?: number;
  after?: number;
  status?: number;
  statuses?: number[];
  /** Functions it concerns, as a regular expression. */
  only?: string;
  /** Where the chances begin. */
  seed?: number;
}

export class Faults {
  private chances: Chances = {};
  private next: Fault[] = [];
  private state = 1;

  set(chances: Chances): void {
    this.chances = chances;
    this.state = (chances.seed ?? 1) >>> 0;
    this.next = [];
  }

  /** Let these happen to the next calls, in this order, whatever the chances. */
  queue(faults: Fault[]): void {
    this.next = [...faults];
  }

  /** Say what goes wrong with a call. */
  pick(path: string): Fault | undefined {
    const { only, before = 0, after = 0, status = 0, statuses = [503] } = this.chances;
    if (only !== undefined && !new RegExp(only).test(path)) return undefined;
    if (this.next.length > 0) return this.next.shift() || undefined;
    let chance = this.random();
    if ((chance -= before) < 0) return "before";
    if ((chance -= after) < 0) return "after";
    if ((chance -= status) < 0) return statuses[Math.floor(this.random() * statuses.length)];
    return undefined;
  }

  async wait(): Promise<void> {
    const [from, to] = this.chances.delay ?? [0, 0];
    if (to <= 0) return;
    await new Promise((resolve) => setTimeout(resolve, from + (to - from) * this.random()));
  }

  /** A small generator (mulberry32), so that a seed says all that happens. */
  private random(): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let x = this.state;
    x = Math.imul(x ^ (x >>> 15), x | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return ((x ^ (x >>> 14)) >>> 0) / 4294967296;
  }
}
