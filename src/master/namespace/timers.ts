/** The queue of timers: one record for what is to be done with one inode, so that a task is set anew and never twice. */
import type {InodeId} from '#base/ids.ts';
import {subjectOfTimerKey, timerKey, type TimerKind, timerTable} from '#codec/namespace/keys.ts';
import {decodeTimer, encodeTimer, type Timer} from '#codec/namespace/timer-record.ts';
import type {Reader, Transaction} from '#metastore/metastore.ts';

export interface SetTimer extends Timer {
  readonly kind: TimerKind;
  readonly subject: InodeId;
}

/** In the place of what was set for the same. */
export function setTimer(tx: Transaction, {kind, subject, ...timer}: SetTimer): void {
  tx.put(timerKey(kind, subject), encodeTimer(timer));
}

export function hasTimer(reader: Reader, kind: TimerKind, subject: InodeId): boolean {
  return reader.get(timerKey(kind, subject)) !== undefined;
}

/** All of them; those of kinds that a later version made are not ours. */
export function listTimers(reader: Reader): SetTimer[] {
  return Array.from(reader.range(timerTable)).flatMap(({key, value}) => {
    const of = subjectOfTimerKey(key);
    return of ? [{...of, ...decodeTimer(value)}] : [];
  });
}

/** Sets it to something else, or (undefined) ends it; false when it was set anew meanwhile, which then holds. */
export function replaceTimer(tx: Transaction, {kind, subject, ...expected}: SetTimer, next: Timer | undefined): boolean {
  const key = timerKey(kind, subject);
  const found = tx.get(key);
  if (!found || Buffer.compare(found, encodeTimer(expected)) !== 0) return false;
  if (next) tx.put(key, encodeTimer(next));
  else tx.delete(key);
  return true;
}
