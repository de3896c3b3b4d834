/**
 * What is known about a key of a store, since when, and whether that may still be believed. Four sources, all bounded by
 * moments at which the store was asked: the inode's own record, re-checks and denials in memory, listings in memory, and
 * complete listings recorded on directories. Below a tree that a job is moving in the store, the namespace alone knows.
 */
import {type ByteString, prefixEnd} from '#base/byte-string.ts';
import type {MountId} from '#base/ids.ts';
import type {Beliefs} from '#master/freshness/beliefs.ts';
import type {Coverage} from '#master/freshness/coverage.ts';
import {isFresh, validUntil} from '#master/freshness/policy.ts';
import {inodeAt, type Place} from '#master/namespace/place.ts';
import type {Reader} from '#metastore/metastore.ts';
import type {Inode} from '#model/inode.ts';
import type {Freshness, Mount} from '#model/mount.ts';

export interface KnowledgeSources {
  readonly beliefs: Beliefs;
  readonly coverage: Coverage;
  readonly mount: (id: MountId) => Mount;
  /** Whether a job makes the store follow the namespace at this key, so that the store is not to be believed. */
  readonly following: (mount: MountId, key: ByteString) => boolean;
  /** Why that has failed last. */
  readonly failure: (mount: MountId, key: ByteString) => string | undefined;
  readonly now: () => number;
}

export interface Age {
  /** Wall ms at which the store was asked; 0 = never. */
  readonly at: number;
  readonly source: 'record' | 'check' | 'listing' | 'directory' | 'none';
}

export class Knowledge {
  readonly #sources: KnowledgeSources;

  constructor(sources: KnowledgeSources) {
    this.#sources = sources;
  }

  /** Whether what stands at `place` may be believed by a request that began at `askedAt`. The record alone answers most. */
  isFreshInode(reader: Reader, place: Place, inode: Inode, parent: Place, askedAt: number): boolean {
    if (inode.links !== undefined) return this.#isFreshLinked(place, inode, askedAt);
    const record: Age = {at: this.#sources.beliefs.stillCounts(place.mount, place.storeKey, inode.checkedAt), source: 'record'};
    return this.isFresh(place.mount, place.storeKey, record, askedAt) || this.isFresh(place.mount, place.storeKey, this.ageOf(reader, place, inode, parent), askedAt);
  }

  /** Of a file with several names: the store has it under the key of one of them, and listings of the others' directories say nothing about it. */
  #isFreshLinked({mount, storeKey: placeKey}: Place, {id, checkedAt, content}: Inode, askedAt: number): boolean {
    const {beliefs} = this.#sources;
    const storeKey = content?.storeKey ?? placeKey;
    const at = Math.max(beliefs.stillCounts(mount, storeKey, checkedAt), beliefs.stillCounts(mount, storeKey, beliefs.confirmedAt(id)));
    return this.isFresh(mount, storeKey, {at, source: 'check'}, askedAt);
  }

  /** When the store last confirmed what stands at `place`. */
  ageOf(reader: Reader, place: Place, inode: Inode, parent: Place): Age {
    const {beliefs} = this.#sources;
    return this.#newest(place.mount, place.storeKey, [
      {at: inode.checkedAt, source: 'record'},
      {at: beliefs.confirmedAt(inode.id), source: 'check'},
      {at: this.#listedSince(place.mount, place.storeKey, parent.mount === place.mount ? parent.storeKey : undefined), source: 'listing'},
      {at: parent.mount === place.mount ? (inodeAt(reader, parent).listedAt ?? 0) : 0, source: 'directory'},
    ]);
  }

  /**
   * When the store last said that there is nothing at `key` (ending in `/`: nothing at or below it). `parent` is the deepest
   * directory above that exists.
   */
  absentSince(reader: Reader, mount: MountId, key: ByteString, parent: Place): Age {
    const {beliefs} = this.#sources;
    const claims: Age[] = [{at: beliefs.deniedAt(mount, key), source: 'check'}];
    if (parent.mount === mount) {
      const rest = key.slice(parent.storeKey.length);
      const slash = rest.indexOf('/');
      // The first name below `parent` that is missing: a listing of `parent` without it proves all below it absent.
      const missing = (slash < 0 ? key : key.slice(0, parent.storeKey.length + slash + 1)) as ByteString;
      claims.push({at: this.#listedSince(mount, missing, parent.storeKey), source: 'listing'}, {at: inodeAt(reader, parent).listedAt ?? 0, source: 'directory'});
      for (let end = missing.length; end < key.length; end = key.indexOf('/', end) + 1 || key.length) claims.push({at: beliefs.deniedAt(mount, key.slice(0, end) as ByteString), source: 'check'});
    }
    return this.#newest(mount, key, claims);
  }

  /** Since when the keys from `from` to before `end` of the directory at `place` are known: by its record, or by listings in memory that cover them together (of a large one there are several). */
  listingAge({mount, storeKey}: Place, {listedAt = 0}: Inode, from: ByteString, end: ByteString | undefined): Age {
    const {coverage} = this.#sources;
    const covered = Math.max(coverage.coveredSince(mount, undefined, from, end), coverage.coveredSince(mount, storeKey, from, end));
    return this.#newest(mount, storeKey, [{at: listedAt, source: 'directory'}, {at: covered, source: 'listing'}]);
  }

  /** May what was learned then be used by a request that began at `askedAt`? */
  isFresh(mount: MountId, key: ByteString, age: Age, askedAt: number): boolean {
    return this.#sources.following(mount, key) || isFresh(this.#sources.mount(mount).freshness, age.at, this.#sources.now(), askedAt);
  }

  validUntil(mount: MountId, age: Age): number | 'forever' | 'never' {
    return validUntil(this.#sources.mount(mount).freshness, age.at);
  }

  /** Until when what stands at `place` may be believed: of what is never asked again it is enough that it was ever known. */
  inodeValidUntil(reader: Reader, place: Place, inode: Inode, parent: Place): number | 'forever' | 'never' {
    const {freshness} = this.#sources.mount(place.mount);
    if (freshness.kind === 'immutable' && this.#sources.beliefs.stillCounts(place.mount, place.storeKey, inode.checkedAt) > 0) return 'forever';
    return validUntil(freshness, this.ageOf(reader, place, inode, parent).at);
  }

  /** The same of there being nothing at `key`. */
  absentValidUntil(reader: Reader, mount: MountId, key: ByteString, parent: Place): number | 'forever' | 'never' {
    const {freshness} = this.#sources.mount(mount);
    if (freshness.kind === 'immutable' && parent.mount === mount && this.#sources.beliefs.stillCounts(mount, key, inodeAt(reader, parent).listedAt ?? 0) > 0) return 'forever';
    return validUntil(freshness, this.absentSince(reader, mount, key, parent).at);
  }

  freshness(mount: MountId): Freshness {
    return this.#sources.mount(mount).freshness;
  }

  following(mount: MountId, key: ByteString): boolean {
    return this.#sources.following(mount, key);
  }

  /** Why the store could not follow there, if it was tried and failed last. */
  failure(mount: MountId, key: ByteString): string | undefined {
    return this.#sources.failure(mount, key);
  }

  /** Since when listings in memory cover one key, of a directory with everything below. `directory`: the one above it. */
  #listedSince(mount: MountId, key: ByteString, directory: ByteString | undefined): number {
    const {coverage} = this.#sources;
    const end = key.endsWith('/') ? prefixEnd(key) : (`${key}\0` as ByteString);
    const recursive = coverage.coveredSince(mount, undefined, key, end);
    return directory === undefined ? recursive : Math.max(recursive, coverage.coveredSince(mount, directory, key, end));
  }

  #newest(mount: MountId, key: ByteString, ages: readonly Age[]): Age {
    let newest: Age = {at: 0, source: 'none'};
    for (const age of ages) {
      if (age.at > newest.at && this.#sources.beliefs.stillCounts(mount, key, age.at) > 0) newest = age;
    }
    return newest;
  }
}
