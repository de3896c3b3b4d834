/** Waiting for what goes on whoever waits for it: others do, or it cannot be broken off. */
import type {CallContext} from '#contracts/context.ts';

/** As `done` ends, unless the request is given up before: then with the reason of that. */
export async function unlessKilled<T>(done: Promise<T>, {signal}: Pick<CallContext, 'signal'>): Promise<T> {
  const {promise, reject} = Promise.withResolvers<never>();
  const onAbort = (): void => reject(signal.reason as Error);
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, {once: true});
  try {
    return await Promise.race([done, promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
