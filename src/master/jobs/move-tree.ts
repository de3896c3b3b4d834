/**
 * Makes a store follow the rename of a tree (design 4.5). The namespace has moved, its directory carries the old prefix,
 * and reads go on by the old keys. Every object is copied to the key that its name tells now, the commit says so, and only
 * then the old one goes; when nothing is left under the old prefix, keys follow names again. After a crash the same is
 * simply done again: what was copied and committed is only removed at its old key.
 */
import type {ByteString} from '#base/byte-string.ts';
import type {InodeId} from '#base/ids.ts';
import {isKind} from '#base/errors.ts';
import {clearRemains} from '#master/jobs/clear-remains.ts';
import {copyObject, removeObject} from '#master/jobs/move-object.ts';
import {locate} from '#master/namespace/locate.ts';
import {finishMove, listMoves, moveAside, relocate} from '#master/namespace/moves.ts';
import {versionPlace} from '#master/namespace/relocations.ts';
import {getPersist, rebase} from '#master/namespace/persists.ts';
import {childOf, inodeAt, type Place} from '#master/namespace/place.ts';
import type {Transactions} from '#master/transactions.ts';
import type {Reader} from '#metastore/metastore.ts';
import type {MoveIntent} from '#codec/namespace/intent-record.ts';
import type {Inode} from '#model/inode.ts';
import type {StoreListPage, StoreObject, UnderStore} from '#understore/under-store.ts';

export interface MoveTree {
  readonly transactions: Transactions;
  readonly store: UnderStore;
  readonly move: MoveIntent;
  /** Where names say that the tree is to be. */
  readonly to: ByteString;
  readonly signal: AbortSignal;
  /** Takes what is empty above the old place out of the store. */
  readonly prune: () => Promise<void>;
  readonly progress: (objects: number) => void;
  readonly crashPoint: (name: string) => void;
}

const pageLimit = 1_000;
const copiesAtOnce = 8;

export async function moveTree(job: MoveTree): Promise<void> {
  const {store, move, to, signal, transactions} = job;
  if (store.capabilities.rename === 'tree') {
    job.crashPoint('master.move.rename');
    await renameTree(store, move.from, to, signal);
  } else {
    await moveBelow(job, move.from);
  }
  job.crashPoint('master.move.prune');
  await job.prune();
  job.crashPoint('master.move.finish');
  await transactions.changeOwn(tx => finishMove(tx, move.id));
}

/** Both of two trees that were exchanged, on a store that renames trees: each is to go where the other is, so the first steps aside. */
export async function exchangeTrees(first: MoveTree, second: MoveTree): Promise<void> {
  const {store, transactions, signal} = first;
  const intentOf = ({move: {id}}: MoveTree): MoveIntent | undefined => transactions.peek(listMoves).find(each => each.id === id);
  const move = intentOf(first);
  if (move?.from === second.to) {
    const aside = asidePlace(move.id);
    first.crashPoint('master.exchange.aside');
    await renameTree(store, move.from, aside, signal);
    first.crashPoint('master.exchange.gone');
    await transactions.changeOwn(tx => moveAside(tx, move, aside));
  }
  for (const job of [second, first]) {
    const left = intentOf(job);
    if (left) await moveTree({...job, move: left});
  }
}

/** Where a tree waits until the other of the two has gone. */
export function asidePlace(id: InodeId): ByteString {
  return `${versionPlace(`tree-${id}`)}/` as ByteString;
}

async function renameTree(store: UnderStore, from: ByteString, to: ByteString, signal: AbortSignal): Promise<void> {
  await store.rename(from, to, {signal}).catch(async (error: unknown) => {
    if (isKind(error, 'DirectoryNotEmpty') && (await clearRemains(store, to, signal))) return await store.rename(from, to, {signal});
    const isLeft = await store.stat(from, {signal, lasting: true});
    if (isLeft && !isKind(error, 'NotFound')) throw error;
    // Renamed by an earlier life, which may have died before that lasted, or never known to the store: there is nothing left to rename.
    await store.stat(to, {signal, lasting: true});
  });
}

/** All objects below a prefix, which is a directory within the tree; directories by themselves go when they are empty. */
async function moveBelow(job: MoveTree, prefix: ByteString): Promise<void> {
  const {store, signal} = job;
  const {directories, recursiveList} = store.capabilities;
  if (directories) await store.makeDirectory(targetOf(job, prefix), {signal});
  for (;;) {
    const page = await pageOf(store, prefix, !recursiveList || directories, signal);
    const below = directories ? page.objects.filter(({key}) => key.endsWith('/') && key !== prefix).map(({key}) => key) : [];
    const objects = directories ? page.objects.filter(({key}) => !key.endsWith('/')) : page.objects;
    if (objects.length === 0 && below.length === 0 && page.prefixes.length === 0) break;
    for (let at = 0; at < objects.length; at += copiesAtOnce) {
      await Promise.all(objects.slice(at, at + copiesAtOnce).map(object => moveOne(job, object)));
      job.progress(Math.min(copiesAtOnce, objects.length - at));
    }
    for (const directory of [...below, ...page.prefixes]) await moveBelow(job, directory);
  }
  if (directories) await removeObject(store, prefix, signal);
}

async function moveOne(job: MoveTree, object: StoreObject): Promise<void> {
  const {store, transactions, signal} = job;
  const to = targetOf(job, object.key);
  const inode = transactions.peek(reader => inodeOf(reader, job.move, object.key));
  const content = inode?.content;
  if ((!content || content.storeKey !== to) && !(content?.pending && (await isRebased(job, inode!.id, object, to)))) {
    job.crashPoint('master.move.copy');
    const copy = await copyObject(store, {storeKey: object.key, fingerprint: object.fingerprint}, to, signal);
    job.crashPoint('master.move.copied');
    // Another version than we knew is found by the next refresh; the namespace keeps only what it can vouch for.
    if (content?.pending) {
      // An earlier version, at the key at which the pending one is to be: it goes over this one.
      await transactions.changeOwn(tx => rebase(tx, inode!.id, object.fingerprint, copy.fingerprint, to));
    } else if (content?.storeKey === object.key && content.fingerprint === object.fingerprint) {
      await transactions.changeOwn(tx => relocate(tx, inode!.id, {...content, storeKey: to, fingerprint: copy.fingerprint}));
    }
    job.crashPoint('master.move.relocated');
  }
  await removeObject(store, object.key, signal);
  job.crashPoint('master.move.removed');
}

/** A pending file goes over the copy that an earlier attempt has made; of a second one it would not know. */
async function isRebased({transactions, store, signal}: MoveTree, id: InodeId, {fingerprint}: StoreObject, to: ByteString): Promise<boolean> {
  const base = transactions.peek(reader => getPersist(reader, id)?.base);
  if (typeof base !== 'object' || base.fingerprint === fingerprint) return false;
  return (await store.stat(to, {signal}))?.fingerprint === base.fingerprint;
}

function targetOf({move, to}: MoveTree, key: ByteString): ByteString {
  return (to + key.slice(move.from.length)) as ByteString;
}

/** What the namespace has for an object under the old prefix. */
function inodeOf(reader: Reader, {id, from}: MoveIntent, key: ByteString): Inode | undefined {
  let place: Place | undefined = locate(reader, id)?.place;
  const rest = key.slice(from.length).split('/') as ByteString[];
  for (let i = 0; place && i < rest.length; i++) {
    const last = i === rest.length - 1;
    if (last && rest[i] === '') break;
    place = childOf(reader, place, rest[i]!, last ? 'file' : 'directory');
  }
  return place && inodeAt(reader, place);
}

async function pageOf(store: UnderStore, prefix: ByteString, delimiter: boolean, signal: AbortSignal): Promise<StoreListPage> {
  let continuation: string | undefined;
  for (;;) {
    const page = await store.list({prefix, delimiter, limit: pageLimit, ...(continuation === undefined ? {} : {continuation})}, {signal});
    if (page.objects.length > 0 || page.prefixes.length > 0 || page.continuation === undefined) return page;
    continuation = page.continuation;
  }
}

