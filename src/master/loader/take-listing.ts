/** Takes a page of a store's listing into the namespace: the loop around `mergeListing`, which keeps its transactions short. */
import type {ByteString} from '#base/byte-string.ts';
import type {MountId} from '#base/ids.ts';
import {addDirectory, parentFor} from '#master/namespace/directories.ts';
import {type ListingMerge, mergeListing, type ObservedEntry} from '#master/namespace/merge-listing.ts';
import type {Operation} from '#master/namespace/operation.ts';
import type {Place} from '#master/namespace/place.ts';
import {resolve} from '#master/namespace/resolve.ts';
import type {Transactions} from '#master/transactions.ts';
import type {Transaction} from '#metastore/metastore.ts';
import type {Path} from '#model/path.ts';

export interface TakenListing extends Omit<ListingMerge, 'directory' | 'confirm'> {
  readonly mount: MountId;
  /** The directory that was listed; made (as implied) when the page has something in it. */
  readonly path: Path;
  /** Waited for before a key is forgotten that the store has not got, once for each directory of such. */
  readonly goneForGood?: (storeKey: ByteString) => Promise<void>;
}

/** What a listing confirms is remembered as coverage, not inode by inode. */
const confirm = (): void => undefined;

export async function takeListing(transactions: Transactions, {mount, path, goneForGood, ...page}: TakenListing): Promise<void> {
  const idsMax = 3 * (page.observed.reduce((sum, {key}) => sum + namesIn(key), 0) + path.names.length + 1);
  const gone = goneForGood && new GoneKeys(goneForGood);
  for (let from: ByteString | undefined = page.from; from !== undefined; ) {
    const start: ByteString = from;
    try {
      from = await transactions.learn(page.startedAt, (tx, op) => {
        const directory = directoryAt(tx, op, mount, path, page.observed.length > 0);
        const merged = directory && mergeListing(tx, op, {...page, directory, confirm, from: start, ...(gone ? {missed: gone.missed} : {})});
        if (gone?.unsettled) throw notYet;
        return merged?.next;
      }, idsMax);
    } catch (error) {
      if (error !== notYet) throw error;
      await gone!.settle();
    }
  }
}

const notYet = new Error('what has gone may be back after power loss');

/** What a listing has not got, a key for each directory. */
class GoneKeys {
  readonly #settle: (storeKey: ByteString) => Promise<void>;
  readonly #settled = new Set<string>();
  readonly #unsettled = new Map<string, ByteString>();

  constructor(settle: (storeKey: ByteString) => Promise<void>) {
    this.#settle = settle;
  }

  get unsettled(): boolean {
    return this.#unsettled.size > 0;
  }

  readonly missed = (storeKey: ByteString): void => {
    const directory = storeKey.slice(0, storeKey.lastIndexOf('/') + 1);
    if (!this.#settled.has(directory)) this.#unsettled.set(directory, storeKey);
  };

  async settle(): Promise<void> {
    for (const [directory, storeKey] of this.#unsettled) {
      await this.#settle(storeKey);
      this.#settled.add(directory);
    }
    this.#unsettled.clear();
  }
}

/**
 * Nothing is at or below a directory in its store any more: what the namespace has there goes, but for what is ours
 * (mount points, what changed since the store was asked).
 */
export async function takeAbsentDirectory(transactions: Transactions, mount: MountId, path: Path, options: Pick<ListingMerge, 'directories' | 'changedSince' | 'startedAt'>): Promise<void> {
  const name = path.names.at(-1)!;
  await takeListing(transactions, {
    mount, path: {names: path.names.slice(0, -1), kind: 'directory'}, recursive: false, observed: noEntries,
    from: `${name}.${lastNameBytes}` as ByteString, to: `${name}/` as ByteString, ...options,
  });
}

const noEntries: readonly ObservedEntry[] = [];
/** Behind every name with a given beginning, before the directory of that beginning: `/` follows `.` in byte order. */
const lastNameBytes = '\xff'.repeat(1024);

function directoryAt(tx: Transaction, op: Operation, mount: MountId, path: Path, make: boolean): Place | undefined {
  const resolution = resolve(tx, path);
  const {place, parent} = resolution;
  if ((place ?? parent).mount !== mount) return undefined;
  if (place || !make) return place;
  return addDirectory(tx, op, parentFor(tx, op, resolution, 'implied'), path.names.at(-1)!, {implied: true, checkedAt: 0});
}

function namesIn(key: ByteString): number {
  let count = 1;
  for (let slash = key.indexOf('/'); slash >= 0; slash = key.indexOf('/', slash + 1)) count++;
  return count;
}
