/** Brings a content into the cache whole, several requests at a time, without handing its bytes to anybody. */
import {WeirError} from '#base/errors.ts';
import type {LoadProgress} from '#contracts/worker-api.ts';
import type {ContentFills} from '#worker/fills/content-fills.ts';

const loadFlightsMax = 8;
/** Times that a load goes over the content again, for pages that were evicted or refused meanwhile. */
const passesMax = 2;

/** Yields after each piece. NoSpace when the cache does not keep what was fetched. */
export async function* loadContent(fills: ContentFills, signal: AbortSignal): AsyncGenerator<LoadProgress, void, undefined> {
  const totalBytes = fills.content.length;
  for (let pass = 0; pass < passesMax; pass++) {
    const flying: {readonly done: Promise<void>; readonly failure: () => Error | undefined}[] = [];
    for (let at = 0; at < totalBytes; ) {
      if (signal.aborted) throw new WeirError('Cancelled', 'the load was given up');
      const {flight, next} = fills.load(at, totalBytes);
      at = next;
      if (flight) flying.push({done: flight.done, failure: () => flight.failure});
      if (flying.length < loadFlightsMax && at < totalBytes) continue;
      const first = flying.shift();
      await first?.done;
      const failure = first?.failure();
      if (failure) throw failure;
      if (at < totalBytes) yield {loadedBytes: Math.min(at, totalBytes), totalBytes};
    }
    for (const {done, failure} of flying) {
      await done;
      const error = failure();
      if (error) throw error;
    }
    if (totalBytes === 0 || fills.presentUntil(0, totalBytes) === totalBytes) {
      yield {loadedBytes: totalBytes, totalBytes};
      return;
    }
  }
  throw new WeirError('NoSpace', `the cache did not keep all of content ${fills.content.id}`);
}
