/**
 * The frame of every change that store and namespace make together: wait until no job works on the keys, take their turn,
 * keep what the store says about them from being believed, and note afterwards that Weir changed them.
 * The mount is marked as written first, so that a restart after a crash asks its store again.
 */
import type {ByteString} from '#base/byte-string.ts';
import type {MountId} from '#base/ids.ts';
import type {Beliefs} from '#master/freshness/beliefs.ts';
import type {RecentChanges} from '#master/freshness/recent-changes.ts';
import type {Following} from '#master/jobs/following.ts';
import type {WrittenMounts} from '#master/mounts/written-mounts.ts';
import type {UploadGate} from '#master/persist/upload-gate.ts';
import type {Turns} from '#master/writes/turns.ts';

export interface StoreChangeServices {
  readonly turns: Turns;
  readonly following: Following;
  readonly recent: RecentChanges;
  readonly beliefs: Beliefs;
  readonly written: WrittenMounts;
  readonly gate: UploadGate;
}

/**
 * Keys that end in `/` (or are empty) stand for all below them. What is uploaded there behind its answer is stopped, unless `alone` is
 * false: for a change of the namespace that the store will follow by another such upload.
 */
export async function beginStoreChange(services: StoreChangeServices, mount: MountId, keys: readonly ByteString[], signal: AbortSignal, alone = true): Promise<Disposable> {
  const {turns, following, written} = services;
  await written.mark(mount);
  for (;;) {
    for (const key of keys) await following.quiet(mount, key, signal);
    const turn = await turns.acquire({mount, keys: keys.filter(key => !isTree(key)), trees: keys.filter(isTree)}, signal);
    // While we waited for the turn, a job may have begun; it needs the turn less than we its end.
    if (keys.some(key => following.busy(mount, key))) {
      turn[Symbol.dispose]();
      continue;
    }
    const pause = alone ? services.gate.pause(mount, keys) : undefined;
    const release = releasing(services, mount, keys, following.keys(mount, keys), turn, pause);
    try {
      await pause?.quiet;
    } catch (error) {
      release[Symbol.dispose]();
      throw error;
    }
    return release;
  }
}

/** The same on the spot for a change of the namespace alone, which the store follows behind; undefined where that takes waiting. */
export function takeKey(services: StoreChangeServices, mount: MountId, key: ByteString): Disposable | undefined {
  const {turns, following, recent, beliefs} = services;
  if (following.busy(mount, key)) return undefined;
  const turn = turns.take(mount, [key]);
  return turn && {[Symbol.dispose]: () => {
    recent.note(mount, key);
    beliefs.exists(mount, key);
    turn[Symbol.dispose]();
  }};
}

/** The same for what is done before anybody else can ask: runs it, or answers undefined. */
export function inTurnNow<T>({turns, following, recent, beliefs}: StoreChangeServices, mount: MountId, key: ByteString, change: () => T): T | undefined {
  if (following.busy(mount, key) || !turns.isFree(mount, key)) return undefined;
  try {
    return change();
  } finally {
    recent.note(mount, key);
    beliefs.exists(mount, key);
  }
}

/** The turn of keys that may become others while one waits for it, because a tree above has followed its rename. Throws what `keysOf` does. */
export async function turnOfCurrent(keysOf: () => readonly ByteString[], begin: (keys: readonly ByteString[]) => Promise<Disposable>): Promise<Disposable> {
  for (;;) {
    const keys = keysOf();
    using hold = new DisposableStack();
    hold.use(await begin(keys));
    const now = keysOf();
    if (now.length === keys.length && now.every((key, i) => key === keys[i])) return hold.move();
  }
}

/** The same for a change of single keys that an earlier life has begun, before anything is served: nobody else can have a turn. */
export function takeUpStoreChange(services: StoreChangeServices, mount: MountId, keys: readonly ByteString[]): Disposable {
  const turn = services.turns.acquire({mount, keys});
  return releasing(services, mount, keys, services.following.keys(mount, keys), {[Symbol.dispose]: () => void turn.then(granted => granted[Symbol.dispose]())}, services.gate.pause(mount, keys));
}

function releasing({recent, beliefs}: StoreChangeServices, mount: MountId, keys: readonly ByteString[], held: Disposable, turn: Disposable, pause: Disposable | undefined): Disposable {
  let open = true;
  return {
    [Symbol.dispose]: () => {
      if (!open) return;
      open = false;
      for (const key of keys) {
        recent.note(mount, key);
        beliefs.exists(mount, key);
      }
      held[Symbol.dispose]();
      turn[Symbol.dispose]();
      pause?.[Symbol.dispose]();
    },
  };
}

function isTree(key: ByteString): boolean {
  return key === '' || key.endsWith('/');
}
