/**
 * Loads metadata from stores when it is first asked for, or no longer fresh. Before an answer, `freshen` sees to it that
 * what the namespace says about one path may be believed: nothing is asked when it is fresh, else one question a name.
 * The namespace itself is only read and written synchronously; whatever a store said is merged in one transaction, unless
 * Weir changed that key after the question was asked.
 */
import type {ByteString} from '#base/byte-string.ts';
import {isKind} from '#base/errors.ts';
import type {InodeId, MountId} from '#base/ids.ts';
import type {Beliefs} from '#master/freshness/beliefs.ts';
import type {Knowledge} from '#master/freshness/knowledge.ts';
import type {RecentChanges} from '#master/freshness/recent-changes.ts';
import type {Following} from '#master/jobs/following.ts';
import {knowsDirectory, mergeDirectory, type SeenDirectory} from '#master/loader/merge-directory.ts';
import {judgeFile, mergeFile, type ObjectOrigin} from '#master/loader/merge-object.ts';
import {SingleFlight} from '#master/loader/single-flight.ts';
import {takeAbsentDirectory} from '#master/loader/take-listing.ts';
import type {SeenObject} from '#master/loader/store-content.ts';
import type {MountTable} from '#master/mounts/mount-table.ts';
import {inodeAt, objectKeyOf, type Place} from '#master/namespace/place.ts';
import {type Resolution, resolve, storeKeyOfPath} from '#master/namespace/resolve.ts';
import type {Transactions} from '#master/transactions.ts';
import type {Reader} from '#metastore/metastore.ts';
import type {Inode} from '#model/inode.ts';
import type {Path, PathKind} from '#model/path.ts';
import type {StoreObject, UnderStore} from '#understore/under-store.ts';

export interface LoaderServices {
  readonly transactions: Transactions;
  readonly mounts: MountTable;
  readonly knowledge: Knowledge;
  readonly beliefs: Beliefs;
  readonly recent: RecentChanges;
  readonly following: Following;
}

export interface FreshenOptions {
  /** Wall ms at which the caller's request began. */
  readonly askedAt: number;
  readonly signal: AbortSignal;
  /** Also what listings do not say (content headers) must be known. */
  readonly complete?: boolean;
}

export interface Question {
  readonly mount: MountId;
  readonly storeKey: ByteString;
  /** Of the kind that is asked for. */
  readonly path: Path;
  /** What is known there already. */
  readonly inode?: InodeId;
}

const always = Number.MAX_SAFE_INTEGER;
const msOf = (until: number | 'forever' | 'never'): number => (until === 'forever' ? always : until === 'never' ? 0 : until);

/** An answer can be overtaken by a change of our own and then be asked for again; more often than this nobody waits for. */
const roundsMax = 5;

export class Loader {
  readonly #services: LoaderServices;
  readonly #flights = new SingleFlight<void>();

  constructor(services: LoaderServices) {
    this.#services = services;
  }

  /** After this, what the namespace says about the path may be believed. Fails as the store does. */
  async freshen(path: Path, options: FreshenOptions): Promise<void> {
    for (let round = 0; round < roundsMax; round++) {
      const questions = this.questions(path, options);
      if (questions.length === 0) return;
      await Promise.all(questions.map(question => this.ask(question, options.signal)));
    }
  }

  /** What has to be asked before the path's state may be believed; empty when it is fresh. */
  questions(path: Path, options: Omit<FreshenOptions, 'signal'>): Question[] {
    return this.#services.transactions.peek(reader => this.#questions(reader, path, options));
  }

  /** The same of what was found at a path in this turn. */
  questionsAt(resolution: Resolution, options: Omit<FreshenOptions, 'signal'>): Question[] {
    return this.#services.transactions.peek(reader => this.#questionsAt(reader, resolution, options));
  }

  /** Whether what stands at a place may be believed. `parent`: the directory above. */
  believes(reader: Reader, place: Place, inode: Inode, parent: Place, {askedAt, complete}: Omit<FreshenOptions, 'signal'>): boolean {
    // Of what it has not got a store can say nothing.
    if (place.mountPoint || inode.content?.pending) return true;
    const {knowledge, mounts} = this.#services;
    const incomplete = complete === true && inode.content?.listed === true && mounts.get(place.mount).capabilities.metadata && !knowledge.following(place.mount, objectKeyOf(place, inode));
    return !incomplete && knowledge.isFreshInode(reader, place, inode, parent, askedAt);
  }

  /** Until when what stands at a place may be believed, wall ms: in the past when it may not, `Number.MAX_SAFE_INTEGER` for ever. */
  validUntil(reader: Reader, place: Place, inode: Inode, parent: Place): number {
    return msOf(this.#services.knowledge.inodeValidUntil(reader, place, inode, parent));
  }

  /** The same of there being nothing of this name in a directory. */
  absentUntil(reader: Reader, parent: Place, name: ByteString, kind: PathKind): number {
    const {knowledge} = this.#services;
    const until = (key: string): number => msOf(knowledge.absentValidUntil(reader, parent.mount, (parent.storeKey + key) as ByteString, parent));
    return Math.min(kind === 'directory' || name === '' ? always : until(name), kind === 'file' ? always : until(`${name}/`));
  }

  /** The same of the names in a directory whose keys are at or behind `from`, and before `end`. */
  listingValidUntil(place: Place, inode: Inode, from: ByteString, end: ByteString | undefined): number {
    const {knowledge} = this.#services;
    return msOf(knowledge.validUntil(place.mount, knowledge.listingAge(place, inode, from, end)));
  }

  #questions(reader: Reader, path: Path, options: Omit<FreshenOptions, 'signal'>): Question[] {
    return this.#questionsAt(reader, resolve(reader, path), options);
  }

  #questionsAt(reader: Reader, resolution: Resolution, {askedAt, complete}: Omit<FreshenOptions, 'signal'>): Question[] {
    const {knowledge} = this.#services;
    const {path, place, parent} = resolution;
    if (place) {
      if (place.mountPoint) return [];
      const inode = inodeAt(reader, place);
      if (this.believes(reader, place, inode, parent, {askedAt, ...(complete === undefined ? {} : {complete})})) return [];
      return [{mount: place.mount, storeKey: objectKeyOf(place, inode), path: {names: path.names, kind: place.kind === 'directory' ? 'directory' : 'file'}, inode: inode.id}];
    }
    const kinds = path.kind === 'either' ? (['directory', 'file'] as const) : [path.kind];
    return kinds.flatMap(kind => {
      if (kind === 'file' && path.names.at(-1) === '') return [];
      const wanted: Path = {names: path.names, kind};
      const storeKey = storeKeyOfPath({path: wanted, parent, depth: resolution.depth});
      const fresh = knowledge.isFresh(parent.mount, storeKey, knowledge.absentSince(reader, parent.mount, storeKey, parent), askedAt);
      return fresh ? [] : [{mount: parent.mount, storeKey, path: wanted}];
    });
  }

  /** Asks the store about one key and merges the answer. Callers of the same question share it. */
  async ask(question: Question, signal: AbortSignal): Promise<void> {
    const {mount, storeKey, path} = question;
    await this.#flights.run(`${mount}:${storeKey}`, signal, async flightSignal => {
      const store = this.#services.mounts.get(mount);
      const startedAt = this.#services.transactions.now();
      if (question.inode !== undefined) this.#services.beliefs.countRequest(question.inode);
      if (path.kind === 'directory') {
        const seen = await seenDirectory(store, storeKey, flightSignal);
        if (!seen && question.inode !== undefined) await goneForGood(store, storeKey, flightSignal);
        await this.takeInDirectory(question, seen, startedAt);
      } else {
        const object = await statOf(store, storeKey, flightSignal);
        if (!object && question.inode !== undefined) await goneForGood(store, storeKey, flightSignal);
        await this.takeInFile(question, object?.kind === 'directory' ? undefined : object, startedAt);
      }
    });
  }

  /** True when an answer to a question asked at `startedAt` must be ignored: we have changed the key since, or are about to. */
  overtaken(mount: MountId, storeKey: ByteString, startedAt: number): boolean {
    return this.#services.following.covers(mount, storeKey) || this.#services.recent.changedSince(mount, storeKey, startedAt);
  }

  /** Takes in what a store said of a file, unless it is overtaken. */
  async takeInFile(question: Question, object: (SeenObject & {readonly target?: ByteString | undefined}) | undefined, startedAt: number): Promise<void> {
    const {transactions, beliefs} = this.#services;
    const {mount, storeKey} = question;
    if (this.overtaken(mount, storeKey, startedAt)) return await transactions.pause();
    const origin = this.#origin(question, startedAt);
    const {verdict, inode} = transactions.peek(reader => judgeFile(reader, origin, object));
    // A store that was slow to answer tells of a version that has been replaced since.
    const known = inode ? Math.max(beliefs.confirmedAt(inode.id), inode.checkedAt) : beliefs.deniedAt(mount, storeKey);
    if ((verdict === 'new' || verdict === 'gone') && known > startedAt && known <= transactions.now()) return;
    if (!object) beliefs.deny(mount, storeKey, startedAt);
    if (verdict === 'unchanged') {
      if (inode) beliefs.confirm(inode.id, startedAt);
      return;
    }
    if (object) beliefs.exists(mount, storeKey);
    const id = await transactions.learn(startedAt, (tx, op) => {
      mergeFile(tx, op, origin, object);
      return resolve(tx, origin.path).place?.id;
      // What a listing does not tell, no file shows among its attributes or bytes: mounts need not forget those.
    }, origin.path.names.length + 2, verdict === 'metadata');
    if (id !== undefined) beliefs.confirm(id, startedAt);
    if (id !== undefined && question.inode !== id) beliefs.countRequest(id);
  }

  /** Takes in what a store said of a directory; undefined: nothing is at or below it. */
  async takeInDirectory(question: Question, seen: SeenDirectory | undefined, startedAt: number): Promise<void> {
    const {transactions, beliefs} = this.#services;
    const {mount, storeKey} = question;
    if (this.overtaken(mount, storeKey, startedAt)) return await transactions.pause();
    const origin = this.#origin(question, startedAt);
    if (!seen) {
      beliefs.deny(mount, storeKey, startedAt);
      await takeAbsentDirectory(transactions, mount, question.path, {
        directories: origin.capabilities.directories, startedAt, changedSince: key => this.overtaken(mount, key, startedAt),
      });
      return;
    }
    beliefs.exists(mount, storeKey);
    const known = transactions.peek(reader => knowsDirectory(reader, origin, seen));
    const id = known?.id ?? (await transactions.learn(startedAt, (tx, op) => {
      mergeDirectory(tx, op, origin, seen);
      return resolve(tx, origin.path).place?.id;
    }, origin.path.names.length + 2));
    if (id !== undefined) beliefs.confirm(id, startedAt);
  }

  #origin({mount, storeKey, path}: Question, startedAt: number): ObjectOrigin {
    const impliedBelow = (key: ByteString): boolean => this.#services.following.changesBelow(mount, key);
    return {mount, storeKey, path, startedAt, impliedBelow, capabilities: this.#services.mounts.get(mount).capabilities};
  }
}

async function statOf(store: UnderStore, key: ByteString, signal: AbortSignal, lasting?: true): Promise<StoreObject | undefined> {
  try {
    return await store.stat(key, {signal, ...(lasting ? {lasting} : {})});
  } catch (error) {
    if (isKind(error, 'NotFound', 'NotADirectory')) return undefined;
    throw error;
  }
}

/**
 * Before the namespace forgets what its store has not got: a process that was killed while it removed that from a disk of ours may not have made it last, and
 * power loss would bring it back without its attributes.
 */
export async function goneForGood(store: UnderStore, key: ByteString, signal: AbortSignal): Promise<void> {
  if (store.capabilities.localFile) await statOf(store, key, signal, true);
}

/** Whether there is a directory: one that exists by itself, or keys that imply it. */
async function seenDirectory(store: UnderStore, key: ByteString, signal: AbortSignal): Promise<SeenDirectory | undefined> {
  if (store.capabilities.directories) {
    const object = await statOf(store, key, signal);
    return object?.kind === 'directory' ? {object} : undefined;
  }
  let continuation: string | undefined;
  do {
    const page = await store.list({prefix: key, delimiter: true, limit: 2, ...(continuation === undefined ? {} : {continuation})}, {signal});
    const marker = page.objects.find(object => object.key === key);
    if (marker) return {object: marker};
    if (page.objects.length > 0 || page.prefixes.length > 0) return {};
    continuation = page.continuation;
  } while (continuation !== undefined);
  return undefined;
}
