/**
 * Pages of listings. The walk behind a page is kept for the next one, so that a directory of a million names is scanned a few
 * times in all and not once a page. Kept walks are few; a page whose walk is gone starts a new one behind the last key.
 */
import {LRUCache} from 'lru-cache';
import {type ByteString, toText} from '#base/byte-string.ts';
import {WeirError, isKind} from '#base/errors.ts';
import type {StoreListPage, StoreListRequest, StoreObject} from '#understore/under-store.ts';
import {lookTogether} from '#connectors/file/look-together.ts';
import {diskPath} from '#connectors/file/names.ts';
import type {Place} from '#connectors/file/place.ts';
import {type Found, walk} from '#connectors/file/walk.ts';
import type {FileStat} from '#runtime/disk.ts';

/** A walk holds about 100 bytes for each name of its window, once for every level of the tree that it is in. */
const windowNames = 65_536;
const walksKeptMax = 16;
const statsInFlightMax = 32;

interface KeptWalk {
  readonly found: AsyncGenerator<Found, void, undefined>;
  readonly lastKey: ByteString;
}

export class DirectoryLister {
  readonly #place: Place;
  readonly #walks = new LRUCache<string, KeptWalk>({max: walksKeptMax, dispose: ({found}, _key, reason) => void (reason === 'evict' && void found.return())});
  #walkNumber = 0;

  constructor(place: Place) {
    this.#place = place;
  }

  async list(request: StoreListRequest, signal: AbortSignal): Promise<StoreListPage> {
    signal.throwIfAborted();
    const found: Found[] = [];
    const {walk: kept, after} = this.#resume(request);
    let ongoing = kept;
    if (!ongoing) {
      const slash = request.prefix.lastIndexOf('/') + 1;
      const directory = request.prefix.slice(0, slash) as ByteString;
      if (request.delimiter && directory !== request.prefix) throw new WeirError('InvalidArgument', `with a delimiter a prefix ends in "/": ${toText(request.prefix)}`);
      await this.#place.assertThere();
      const itself = await this.#place.find(directory);
      if (!itself || (directory !== '' && itself.stat.kind !== 'directory')) return {objects: [], prefixes: []};
      if (directory !== '' && directory === request.prefix && (after === undefined || after < directory)) found.push({key: directory, kind: 'directory', path: itself.path});
      const options = {namePrefix: request.prefix.slice(slash) as ByteString, after, recursive: !request.delimiter, windowNames};
      ongoing = walk(this.#place.disk, itself.path, directory, options);
    }
    let ended = false;
    while (found.length < request.limit) {
      signal.throwIfAborted();
      const next = await ongoing.next();
      if (next.done) {
        ended = true;
        break;
      }
      found.push(next.value);
    }
    const page = await this.#describe(found, request);
    return ended ? page : {...page, continuation: this.#keep(ongoing, found.at(-1)?.key ?? after ?? ('' as ByteString))};
  }

  #keep(found: KeptWalk['found'], lastKey: ByteString): string {
    const name = String(++this.#walkNumber);
    this.#walks.set(name, {found, lastKey});
    return `${name}:${lastKey}`;
  }

  /** The walk that a continuation goes on with, taken out; or the key after which a new one starts. */
  #resume({after, continuation}: StoreListRequest): {walk?: KeptWalk['found']; after: ByteString | undefined} {
    if (continuation === undefined) return {after};
    const colon = continuation.indexOf(':');
    const lastKey = continuation.slice(colon + 1) as ByteString;
    const name = continuation.slice(0, colon);
    const kept = this.#walks.get(name);
    this.#walks.delete(name);
    return kept?.lastKey === lastKey ? {walk: kept.found, after: lastKey} : {after: lastKey};
  }

  async #describe(found: readonly Found[], {delimiter, prefix}: StoreListRequest): Promise<StoreListPage> {
    const folds = ({kind, key}: Found): boolean => delimiter && kind === 'directory' && key !== prefix;
    const shown = found.filter(item => !folds(item));
    const stats = await lookTogether(this.#place.disk, shown);
    const objects: (StoreObject | undefined)[] = new Array(shown.length);
    const indexes = shown.keys();
    await Promise.all(
      Array.from({length: Math.min(statsInFlightMax, shown.length)}, async () => {
        for (const i of indexes) objects[i] = await this.#object(shown[i]!, stats[i]);
      }),
    );
    return {objects: objects.filter(object => object !== undefined), prefixes: found.filter(folds).map(item => item.key)};
  }

  /** Undefined when it went away since it was found. */
  async #object({key, path}: Found, known: FileStat | undefined): Promise<StoreObject | undefined> {
    try {
      const stat = known ?? (await this.#place.disk.stat(diskPath(path)));
      const object = await this.#place.describe(key, {path, stat});
      if (!object || (object.kind === 'directory') !== key.endsWith('/')) return undefined;
      const {metadata: _, ...listed} = object;
      return listed;
    } catch (error) {
      if (isKind(error, 'NotFound', 'NotADirectory')) return undefined;
      throw error;
    }
  }
}
