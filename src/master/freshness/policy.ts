/** The freshness contract (design 4.6) as arithmetic: until when is something believed that a store said at a moment? */
import type {Freshness} from '#model/mount.ts';

/** Wall milliseconds until which an answer of `checkedAt` is believed unasked. 0 = never asked. */
export function validUntil(freshness: Freshness, checkedAt: number): number | 'forever' | 'never' {
  if (checkedAt <= 0) return 'never';
  switch (freshness.kind) {
    case 'immutable':
      return 'forever';
    case 'always':
      return 'never';
    case 'maxAge':
      return checkedAt + freshness.ms;
  }
}

/** How old the answer to a question may be that somebody else has asked, for who asks now. */
export function ageMsMax(freshness: Freshness): number {
  switch (freshness.kind) {
    case 'immutable':
      return Number.MAX_SAFE_INTEGER;
    case 'always':
      return 0;
    case 'maxAge':
      return freshness.ms;
  }
}

/**
 * Whether an answer of `checkedAt` may be used at `now` by a request that began at `askedAt`. Even under `always` an
 * answer to a question that was asked after the request began is good for that request.
 */
export function isFresh(freshness: Freshness, checkedAt: number, now: number, askedAt: number): boolean {
  if (checkedAt <= 0) return false;
  if (checkedAt >= askedAt) return true;
  const until = validUntil(freshness, checkedAt);
  return until === 'forever' || (until !== 'never' && now < until);
}
