/**
 * Listings: brings as much of a store's listing into the namespace as a request needs, page by page, and lets the
 * namespace answer. A page of the store that has been merged is *covered* (freshness/coverage.ts); a request is answered
 * as soon as the range of its own page is covered and fresh. So a first page needs a page or two of the store however
 * many keys there are, a later one goes on where the former ended, and memory holds one store page at a time.
 *
 * Listings with a `/` delimiter, and of children, list one directory. Others use the store's recursive listing where it has
 * one, no mount begins inside, and it is ordered; else the directories on the page are listed one by one.
 */
import {LRUCache} from 'lru-cache';
import {type ByteString, prefixEnd} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import type {MountId} from '#base/ids.ts';
import type {CallContext} from '#contracts/context.ts';
import type {ListPage, ListRequest, ListVersionsRequest, VersionPage} from '#contracts/listings.ts';
import type {Coverage} from '#master/freshness/coverage.ts';
import {goneForGood, type Loader, type LoaderServices} from '#master/loader/loader.ts';
import {SingleFlight} from '#master/loader/single-flight.ts';
import {takeListing} from '#master/loader/take-listing.ts';
import {KeyCursor} from '#master/namespace/key-cursor.ts';
import {list} from '#master/namespace/list.ts';
import {listVersions} from '#master/namespace/list-versions.ts';
import type {ObservedEntry} from '#master/namespace/merge-listing.ts';
import {inodeAt, type Place} from '#master/namespace/place.ts';
import {resolve, storeKeyOfPath} from '#master/namespace/resolve.ts';
import type {Reader} from '#metastore/metastore.ts';
import {formatPath, nameBytesMax, parsePath, type Path, pathBytesMax} from '#model/path.ts';
import type {StoreListPage, StoreListRequest, StoreObject, UnderStore} from '#understore/under-store.ts';

/** One listing of a store: of the children of a directory, or of everything below a prefix. */
export interface Scope {
  readonly mount: MountId;
  /** The directory that is listed, as a path. */
  readonly path: Path;
  /** Its key: empty, or ending in `/`. */
  readonly storeKey: ByteString;
  readonly recursive: boolean;
  /** The range of keys that matters. */
  readonly from: ByteString;
  readonly end: ByteString | undefined;
}

/** Objects asked for in one request: the most that S3 gives. */
const storePageLimit = 1_000;
const continuationsMax = 10_000;
/** A store that lists in no order is sorted in memory before anybody can page through it; more than this it may not have in one directory. */
const unorderedEntriesMax = 1_000_000;
const directoriesAtOnce = 8;
/** A listing that never ends up covered (changed under us all the time) fails rather than going on for ever. */
const roundsMax = 20_000;

export class Lister {
  readonly #services: LoaderServices & {readonly coverage: Coverage};
  readonly #loader: Loader;
  readonly #flights = new SingleFlight<void>();
  /** How to go on where a page ended, in stores that cannot start at a key. */
  readonly #continuations = new LRUCache<string, string>({max: continuationsMax});

  constructor(services: LoaderServices & {readonly coverage: Coverage}, loader: Loader) {
    this.#services = services;
    this.#loader = loader;
  }

  async list(request: ListRequest, context: CallContext): Promise<ListPage> {
    const {transactions, mounts} = this.#services;
    const askedAt = transactions.now();
    const directory: Path = {names: parsePath(request.directory, 'directory').names, kind: 'directory'};
    const {mount} = transactions.peek(reader => {
      const {place, parent} = resolve(reader, directory, context.principal);
      return place ?? parent;
    });
    // Where directories exist by themselves, an empty one must be told from none.
    if (mounts.get(mount).capabilities.directories) await this.#loader.freshen(directory, {askedAt, signal: context.signal});
    for (let round = 0; round < roundsMax; round++) {
      const {page, failure, missing} = transactions.peek(reader => this.#attempt(reader, request, directory, context, askedAt));
      if (missing.length === 0) {
        await transactions.read(() => undefined);
        if (failure !== undefined) throw failure;
        return request.view === 'children' ? {...page!, validUntil: this.#validUntil(directory, request, page!)} : page!;
      }
      await Promise.all(missing.slice(0, directoriesAtOnce).map(scope => this.advance(scope, askedAt, context.signal)));
    }
    throw new WeirError('Unavailable', `the listing of ${formatPath(directory)} changes faster than it can be read`);
  }

  /** Of the names on a page of a directory, and those that are not on it: the rest of the directory may not be known yet. */
  #validUntil(directory: Path, {after}: ListRequest, {entries, next}: ListPage): number {
    return this.#services.transactions.peek(reader => {
      const {place} = resolve(reader, directory);
      if (!place) return 0;
      const {storeKey} = place;
      const from = after === undefined ? storeKey : startBehind((storeKey + after) as ByteString, storeKey, false);
      const last = next === undefined ? undefined : entries.at(-1)?.key;
      const end = last !== undefined ? keyAfter((storeKey + last) as ByteString, last.endsWith('/')) : storeKey === '' ? undefined : prefixEnd(storeKey);
      return this.#loader.listingValidUntil(place, inodeAt(reader, place), from, end);
    });
  }

  /** All versions; what is current on the page is loaded as for a listing of keys, which the page cannot reach beyond. */
  async listVersions(request: ListVersionsRequest, context: CallContext): Promise<VersionPage> {
    const {directory, prefix, delimiter, limit, after} = request;
    await this.list({directory, view: 'keys', limit, ...(prefix === undefined ? {} : {prefix}), ...(delimiter === undefined ? {} : {delimiter}), ...(after ? {after: after.key} : {})}, context);
    return await this.#services.transactions.read(reader => listVersions(reader, request, context.principal));
  }

  /** Lists everything below a directory to the end, so that the namespace knows all of it. */
  async coverTree(path: Path, context: CallContext): Promise<void> {
    const {transactions} = this.#services;
    const askedAt = transactions.now();
    for (let round = 0; round < roundsMax; round++) {
      const missing = transactions.peek(reader => {
        const resolution = resolve(reader, path);
        const storeKey = storeKeyOfPath(resolution);
        const end = storeKey === '' ? undefined : prefixEnd(storeKey);
        const scope: Scope = {mount: (resolution.place ?? resolution.parent).mount, path, storeKey, recursive: true, from: storeKey, end};
        return this.#mustWalk(scope) ? this.#uncoveredDirectories(reader, scope, end, askedAt) : this.#isCovered(reader, scope, end, askedAt) ? [] : [scope];
      });
      if (missing.length === 0) return;
      await Promise.all(missing.slice(0, directoriesAtOnce).map(scope => this.advance(scope, askedAt, context.signal)));
    }
    throw new WeirError('Unavailable', `the listing of ${formatPath(path)} changes faster than it can be read`);
  }

  /** The namespace's own answer, and what of the store's must be listed before it may be believed. */
  #attempt(reader: Reader, request: ListRequest, directory: Path, context: CallContext, askedAt: number): {page?: ListPage; failure?: unknown; missing: Scope[]} {
    let page: ListPage | undefined;
    let failure: unknown;
    try {
      page = list(reader, request, context.principal);
    } catch (error) {
      if (!(error instanceof WeirError) || error.kind !== 'NotFound') throw error;
      failure = error;
    }
    const scope = this.#scope(reader, request, directory);
    if (!scope) return {...(page ? {page} : {}), failure, missing: []};
    const last = page?.next === undefined ? undefined : page.entries.at(-1);
    const base = scope.storeKey.length - (directoryOf(request.prefix) ?? '').length;
    const end = last ? keyAfter((scope.storeKey.slice(0, base) + last.key) as ByteString, 'folded' in last) : scope.end;
    const missing = scope.recursive && this.#mustWalk(scope) ? this.#uncoveredDirectories(reader, scope, end, askedAt) : this.#isCovered(reader, scope, end, askedAt) ? [] : [scope];
    return {...(page ? {page} : {}), failure, missing};
  }

  /** What of a store the request is about; undefined: nothing can follow `after`. */
  #scope(reader: Reader, request: ListRequest, directory: Path): Scope | undefined {
    const prefix = request.prefix ?? ('' as ByteString);
    const inner = directoryOf(prefix);
    const names = inner === undefined ? directory.names : [...directory.names, ...(inner.slice(0, -1).split('/') as ByteString[])];
    const path: Path = {names: request.view === 'children' ? directory.names : names, kind: 'directory'};
    const resolution = resolve(reader, path);
    const mount = (resolution.place ?? resolution.parent).mount;
    const storeKey = storeKeyOfPath(resolution);
    const above = path === undefined || request.view === 'children' ? '' : (inner ?? '');
    const toStore = (key: ByteString): ByteString => (storeKey + key.slice(above.length)) as ByteString;
    const recursive = request.view === 'tree' || (request.view === 'keys' && request.delimiter !== '/');
    const first = toStore(prefix);
    const {after} = request;
    if (after !== undefined && after >= prefix && !after.startsWith(prefix)) return undefined;
    const from = after === undefined || after < prefix ? first : startBehind(toStore(after), storeKey, recursive);
    return {mount, path, storeKey, recursive, from, end: first === '' ? undefined : prefixEnd(first)};
  }

  #mustWalk(scope: Scope): boolean {
    const {capabilities} = this.#services.mounts.get(scope.mount);
    if (!capabilities.recursiveList || !capabilities.orderedList) return true;
    const path = formatPath(scope.path);
    for (const {mount} of this.#services.mounts) if (mount.id !== scope.mount && mount.path.startsWith(path)) return true;
    return false;
  }

  /** Directories of a recursive listing whose own children are not known well enough, up to `end`. */
  #uncoveredDirectories(reader: Reader, scope: Scope, end: ByteString | undefined, askedAt: number): Scope[] {
    const missing: Scope[] = [];
    const top = resolve(reader, scope.path).place;
    const check = (place: Pick<Place, 'mount' | 'storeKey'>, path: Path): void => {
      const children: Scope = {mount: place.mount, path, storeKey: place.storeKey, recursive: false, from: place.storeKey, end: place.storeKey === '' ? undefined : prefixEnd(place.storeKey)};
      if (!this.#isCovered(reader, children, children.end, askedAt)) missing.push(children);
    };
    check(top ?? scope, scope.path);
    if (!top) return missing;
    const cursor = new KeyCursor(reader, top);
    const start = scope.from.slice(scope.storeKey.length) as ByteString;
    for (let slash = start.indexOf('/'); slash >= 0; slash = start.indexOf('/', slash + 1)) {
      const names = [...scope.path.names, ...(start.slice(0, slash).split('/') as ByteString[])];
      const path: Path = {names, kind: 'directory'};
      const {place} = resolve(reader, path);
      if (place) check(place, path);
    }
    cursor.seek(start);
    for (let entry = cursor.next(); entry && missing.length < directoriesAtOnce; entry = cursor.next()) {
      if (end !== undefined && scope.storeKey + entry.key >= end) break;
      if (entry.place.kind === 'directory') check(entry.place, {names: [...scope.path.names, ...(entry.key.slice(0, -1).split('/') as ByteString[])], kind: 'directory'});
    }
    return missing;
  }

  #isCovered(reader: Reader, scope: Scope, end: ByteString | undefined, askedAt: number): boolean {
    const {knowledge} = this.#services;
    if (knowledge.following(scope.mount, scope.storeKey)) return true;
    if (!scope.recursive) {
      const {place} = resolve(reader, scope.path);
      const listedAt = place && place.mount === scope.mount ? (inodeAt(reader, place).listedAt ?? 0) : 0;
      if (this.#accepts(scope, askedAt)(listedAt)) return true;
    }
    const reached = this.#reached(scope, askedAt);
    return reached === undefined || (end !== undefined && reached >= end);
  }

  #accepts(scope: Scope, askedAt: number): (at: number) => boolean {
    const {knowledge, beliefs} = this.#services;
    return at => knowledge.isFresh(scope.mount, scope.storeKey, {at: beliefs.stillCounts(scope.mount, scope.storeKey, at), source: 'listing'}, askedAt);
  }

  /** The first key of the scope that no fresh listing covers; undefined when all is covered. */
  #reached(scope: Scope, askedAt: number): ByteString | undefined {
    const {coverage} = this.#services;
    const accept = this.#accepts(scope, askedAt);
    let reached: ByteString | undefined = scope.from;
    for (;;) {
      const before: ByteString = reached;
      reached = coverage.coveredTo(scope.mount, undefined, reached, accept);
      if (reached !== undefined && !scope.recursive) reached = coverage.coveredTo(scope.mount, scope.storeKey, reached, accept);
      if (reached === undefined || (scope.end !== undefined && reached >= scope.end)) return undefined;
      if (reached === before) return reached;
    }
  }

  /** Asks for the next page of the store that the scope needs, and merges it. Callers of the same page share it. */
  async advance(scope: Scope, askedAt: number, signal: AbortSignal): Promise<void> {
    const from = this.#reached(scope, askedAt);
    if (from === undefined) return;
    const space = `${scope.mount}:${scope.recursive ? '*' : '/'}${scope.storeKey}`;
    await this.#flights.run(`${space}\0${from}`, signal, async flightSignal => {
      const {mounts, transactions, coverage, following, recent} = this.#services;
      const store = mounts.get(scope.mount);
      const startedAt = transactions.now();
      const {capabilities} = store;
      const start = capabilities.orderedList ? from : scope.storeKey;
      const fetched = capabilities.orderedList ? await this.#nextPage(store, scope, space, from, flightSignal) : await wholeDirectory(store, scope.storeKey, flightSignal);
      let unknown = false;
      let hidden: ByteString | undefined;
      const changedSince = (key: ByteString): boolean => {
        if (following.covers(scope.mount, key)) {
          if (following.hides(scope.mount, key)) hidden = key;
          unknown ||= following.holdsTree(scope.mount, key);
          return true;
        }
        const tree = recent.treeChangedSince(scope.mount, key, startedAt);
        unknown ||= tree;
        return tree || recent.changedSince(scope.mount, key, startedAt);
      };
      const {directories} = capabilities;
      // What is listed may be, or lie in, a tree that is another by now, of which the page had perhaps nothing.
      changedSince(scope.storeKey);
      if (scope.recursive) hidden ??= following.hiddenBelow(scope.mount, scope.storeKey);
      const marker = fetched.objects.find(({key}) => key === scope.storeKey);
      if (marker) await this.#loader.takeInDirectory({mount: scope.mount, storeKey: scope.storeKey, path: scope.path}, {object: marker}, startedAt);
      const relative = (key: ByteString): ByteString => key.slice(scope.storeKey.length) as ByteString;
      await takeListing(transactions, {
        mount: scope.mount, path: scope.path, recursive: scope.recursive, directories, startedAt, changedSince, complete: () => !unknown && hidden === undefined,
        impliedBelow: key => following.changesBelow(scope.mount, key), ...(capabilities.localFile ? {goneForGood: (key: ByteString) => goneForGood(store, key, flightSignal)} : {}),
        from: start === scope.storeKey ? ('' as ByteString) : relative(keyBefore(start)), observed: observed(fetched, relative), ...(fetched.last === undefined ? {} : {to: relative(fetched.last)}),
      });
      const end = fetched.last === undefined ? (scope.storeKey === '' ? undefined : prefixEnd(scope.storeKey)) : keyAfter(fetched.last, !scope.recursive && fetched.last.endsWith('/'));
      // A tree was changed here meanwhile, or is being moved, and what the page said of it was ignored: the next round asks again.
      if (hidden !== undefined) await following.quiet(scope.mount, hidden, flightSignal);
      if (unknown || hidden !== undefined) await transactions.pause();
      else coverage.add(scope.mount, scope.recursive ? undefined : scope.storeKey, {from: start, end, at: startedAt});
    });
  }

  /** A page of an ordered store with at least one entry behind `from`, unless it is the last. */
  async #nextPage(store: UnderStore, scope: Scope, space: string, from: ByteString, signal: AbortSignal): Promise<StorePage> {
    const plain: StoreListRequest = {prefix: scope.storeKey, delimiter: !scope.recursive, limit: storePageLimit};
    const known = this.#continuations.get(`${space}\0${from}`);
    const canStart = from > scope.storeKey && store.capabilities.listAfter;
    let request: StoreListRequest = known === undefined ? (canStart ? {...plain, after: keyBefore(from)} : plain) : {...plain, continuation: known};
    for (;;) {
      const page = await store.list(request, {signal});
      const {continuation} = page;
      const last = continuation === undefined ? undefined : lastKey(page);
      const end = last === undefined ? undefined : keyAfter(last, !scope.recursive && last.endsWith('/'));
      if (continuation !== undefined && end !== undefined) this.#continuations.set(`${space}\0${end}`, alone(continuation));
      if (continuation === undefined || (end !== undefined && end > from)) {
        return {objects: page.objects, prefixes: page.prefixes, last};
      }
      request = {...plain, continuation};
    }
  }
}

interface StorePage {
  readonly objects: readonly StoreObject[];
  readonly prefixes: readonly ByteString[];
  /** The last key that the page says something about; undefined: it was the last page. */
  readonly last: ByteString | undefined;
}

/** A store that lists in no order: all of one directory, sorted. */
async function wholeDirectory(store: UnderStore, prefix: ByteString, signal: AbortSignal): Promise<StorePage> {
  const objects: StoreObject[] = [];
  const prefixes: ByteString[] = [];
  let continuation: string | undefined;
  do {
    const page = await store.list({prefix, delimiter: true, limit: storePageLimit, ...(continuation === undefined ? {} : {continuation})}, {signal});
    objects.push(...page.objects);
    prefixes.push(...page.prefixes);
    if (objects.length + prefixes.length > unorderedEntriesMax) throw new WeirError('TooLarge', `a directory of a store that lists in no order has over ${unorderedEntriesMax} entries`);
    continuation = page.continuation;
  } while (continuation !== undefined);
  return {objects, prefixes, last: undefined};
}

/** The same text in memory of its own: what was cut out of a store's answer would keep all of that answer alive, as long as it is remembered. */
function alone(text: string): string {
  return Buffer.from(text).toString();
}

function lastKey(page: StoreListPage): ByteString | undefined {
  const object = page.objects.at(-1)?.key;
  const prefix = page.prefixes.at(-1);
  return object === undefined || (prefix !== undefined && prefix > object) ? prefix : object;
}

/** Both kinds together in key order, relative to the directory, which is not its own child. */
function observed({objects, prefixes}: StorePage, relative: (key: ByteString) => ByteString): ObservedEntry[] {
  const entries: ObservedEntry[] = [...objects.map(object => ({key: relative(object.key), object})), ...prefixes.map(key => ({key: relative(key)}))];
  return entries.filter(({key}) => key !== '' && isName(key)).sort((a, b) => (a.key < b.key ? -1 : 1));
}

/** Whether the namespace can name a key. */
function isName(key: ByteString): boolean {
  if (key.length > pathBytesMax || key.includes('\0')) return false;
  return key.length <= nameBytesMax || key.split('/').every(name => name.length <= nameBytesMax);
}

/** The first key behind `key`, or behind everything that starts with it. */
function keyAfter(key: ByteString, folded: boolean): ByteString {
  return folded ? (prefixEnd(key) ?? key) : (`${key}\0` as ByteString);
}

/** Where a listing goes on behind a key; one inside of what this listing folds begins with that folded directory. */
function startBehind(key: ByteString, directory: ByteString, recursive: boolean): ByteString {
  const slash = recursive ? -1 : key.indexOf('/', directory.length);
  if (slash < 0) return keyAfter(key, false);
  return slash === key.length - 1 ? keyAfter(key, true) : (key.slice(0, slash + 1) as ByteString);
}

const afterSlash = 0x30;

/** A key for `after` so that nothing from `key` on is left out; a few before it may come again. What was UTF-8 stays so. */
function keyBefore(key: ByteString): ByteString {
  const last = key.charCodeAt(key.length - 1);
  if (last === 0) return key.slice(0, -1) as ByteString;
  if (last === afterSlash) return `${key.slice(0, -1)}/` as ByteString;
  return `${key.slice(0, -1)}${last <= 0x80 ? `${String.fromCharCode(last - 1)}\xf4\x8f\xbf\xbf` : ''}` as ByteString;
}

function directoryOf(prefix: ByteString | undefined): ByteString | undefined {
  const slash = prefix?.lastIndexOf('/') ?? -1;
  return slash < 0 ? undefined : (prefix!.slice(0, slash + 1) as ByteString);
}
