/**
 * Directories that paths led to lately, so that who reads many files of one directory walks to it once. Any commit forgets them all:
 * nothing that a walk could have met is missed, and where reads are many, commits are few.
 */
import type {ByteString} from '#base/byte-string.ts';
import type {Place} from '#master/namespace/place.ts';
import {resolve} from '#master/namespace/resolve.ts';
import type {Metastore} from '#metastore/metastore.ts';
import {parsePath} from '#model/path.ts';

const placesMax = 10_000;

export class KnownDirectories {
  readonly #metastore: Metastore;
  readonly #places = new Map<ByteString, Place>();
  /** The last transaction that the places have seen. */
  #sequence = -1;

  constructor(metastore: Metastore) {
    this.#metastore = metastore;
  }

  /** The directory at a path that ends in `/`; undefined when there is none, or none yet that power loss could not take back. InvalidPath, NameTooLong. */
  find(path: ByteString): Place | undefined {
    const {sequence} = this.#metastore;
    if (sequence !== this.#sequence) {
      this.#places.clear();
      this.#sequence = sequence;
    }
    return this.#places.get(path) ?? this.#walk(path);
  }

  #walk(path: ByteString): Place | undefined {
    const walk = this.#metastore.read((reader) => resolve(reader, parsePath(path, 'directory')).place);
    if (!walk.result || walk.sequence > this.#metastore.durableSequence) return undefined;
    if (this.#places.size >= placesMax) this.#places.clear();
    this.#places.set(path, walk.result);
    return walk.result;
  }
}
