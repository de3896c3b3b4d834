/**
 * Directories that paths led to lately, so that who reads many files of one directory walks to it once. Any commit forgets them all:
 * nothing that a walk could have met is missed, and where reads are many, commits are few.
 */
import type {ByteString} from '#base/byte-string.ts';
import type {FileInfo} from '#contracts/master-api.ts';
import {inodeAt, lookAt, type Place} from '#master/namespace/place.ts';
import {resolve} from '#master/namespace/resolve.ts';
import type {Metastore} from '#metastore/metastore.ts';
import type {Inode} from '#model/inode.ts';
import {parsePath} from '#model/path.ts';

const placesMax = 10_000;

export interface KnownDirectory {
  readonly place: Place;
  readonly inode: Inode;
  /** The directory that it lies in; the root lies in itself. */
  readonly parent: Place;
  /** What who looks at it is told. */
  readonly info: FileInfo;
}

export class KnownDirectories {
  readonly #metastore: Metastore;
  readonly #places = new Map<ByteString, KnownDirectory>();
  /** The last transaction that the places have seen. */
  #sequence = -1;

  constructor(metastore: Metastore) {
    this.#metastore = metastore;
  }

  /** The directory at a path that ends in `/`, with its inode; undefined when there is none, or none yet that power loss could not take back. InvalidPath, NameTooLong. */
  find(path: ByteString): KnownDirectory | undefined {
    const {sequence} = this.#metastore;
    if (sequence !== this.#sequence) {
      this.#places.clear();
      this.#sequence = sequence;
    }
    return this.#places.get(path) ?? this.#walk(path);
  }

  #walk(path: ByteString): KnownDirectory | undefined {
    const walk = this.#metastore.read((reader) => {
      const {place, parent} = resolve(reader, parsePath(path, 'directory'));
      if (!place) return undefined;
      const inode = inodeAt(reader, place);
      return {place, inode, parent, info: lookAt(reader, path, place, inode)};
    });
    if (!walk.result || walk.sequence > this.#metastore.durableSequence) return undefined;
    if (this.#places.size >= placesMax) this.#places.clear();
    this.#places.set(path, walk.result);
    return walk.result;
  }
}
