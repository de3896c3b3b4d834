/** Which thread serves how many connections: as a function of how busy their event loops were. */

/** Of one thread in the last interval; the first is the main one. */
export interface Load {
  /** Of its time that its event loop was not waiting, 0 to 1. */
  readonly busy: number;
  /** Of its time that it had a core. Less than `busy` where others want the cores, too. */
  readonly cpu: number;
  readonly connections: number;
}

/** Where every thread used more of a core than this on average, one more is wanted: by those who wait for a core, another would wait as well. */
const busyEnough = 0.8;
/** Below this nobody waits for a thread, so nobody moves. */
const moveFrom = 0.5;
/** Differences that are not worth a move. */
const evenEnough = 0.15;
/** Of the main thread's requests, so many must be of a kind that a thread answers. */
const helpfulShare = 0.25;
/** One fewer would be no busier than this. */
const idleEnough = 0.5;

/**
 * Who hands connections to whom. Half of what would make both equal: a connection costs its thread more than it costs the main one, which still looks
 * up what is asked for.
 */
export function nextMove(loads: readonly Load[]): {readonly from: number; readonly to: number; readonly connections: number} | undefined {
  let [from, to] = [0, 0];
  for (const [i, {busy}] of loads.entries()) {
    if (busy > loads[from]!.busy) from = i;
    if (busy < loads[to]!.busy) to = i;
  }
  const {busy, connections} = loads[from]!;
  const difference = busy - loads[to]!.busy;
  if (busy < moveFrom || difference < evenEnough || connections < 2) return undefined;
  return {from, to, connections: Math.max(1, Math.floor((connections * difference) / busy / 4))};
}

export function wantsMore(loads: readonly Load[]): boolean {
  return loads.reduce((sum, {cpu}) => sum + cpu, 0) >= busyEnough * loads.length;
}

/** Of so many requests of the main thread so many could have been a thread's. */
export function threadsHelp(requests: number, possible: number): boolean {
  return requests > 0 && possible >= helpfulShare * requests;
}

export function wantsFewer(loads: readonly Load[]): boolean {
  return loads.length > 1 && loads.reduce((sum, {busy}) => sum + busy, 0) <= idleEnough * (loads.length - 1);
}

/** Who takes the next new connection, of equals not the main thread: `since` counts those that each has been given since its load was measured. */
export function leastBusy(loads: readonly Load[], since: readonly number[]): number {
  const expected = ({busy, connections}: Load, i: number): number => busy + (since[i] ?? 0) * Math.max(0.01, connections === 0 ? 0 : busy / connections);
  let best = 0;
  let least = Infinity;
  for (const [i, load] of loads.entries()) {
    const value = expected(load, i);
    if (value <= least) [best, least] = [i, value];
  }
  return best;
}
