/**
 * A cursor over everything below a directory in the byte order of full keys (`a`, `a/`, `a/b`, `b` …), which is a walk in
 * depth, parents first, because directories are entered as `name/`. It can seek to any key, whether or not that exists,
 * at the cost of one read a level, and can leave out what lies below where it stands at no cost. So a page of a listing
 * costs what is on the page.
 *
 * The stack is an array: as deep as the deepest path, without recursion. Entries are read ahead in chunks, so that no
 * read transaction's cursor stays open while something else is read. Changes made to the tree behind the cursor are
 * harmless; changes ahead of it are seen or not.
 */
import type {ByteString} from '#base/byte-string.ts';
import {decodeEntry} from '#codec/namespace/entry-record.ts';
import {entriesOf, nameOfEntryKey} from '#codec/namespace/keys.ts';
import {childOf, isReserved, type Place, placeOf} from '#master/namespace/place.ts';
import type {KeyValue, Reader} from '#metastore/metastore.ts';

/** Entries read at once: few at first, for listings that go down and not along. */
const chunkEntriesMin = 8;
const chunkEntriesMax = 512;
/** When as many were answered as were wanted: some may not have been shown. */
const chunkEntriesAtEnd = 32;

interface Frame {
  readonly directory: Place;
  /** Key of the directory relative to the start: empty, or ending in `/`. */
  readonly prefix: ByteString;
  chunk: readonly KeyValue[];
  index: number;
  chunkEntries: number;
  /** Where the next chunk begins; undefined when there is none. */
  from: ByteString | undefined;
}

export interface CursorEntry {
  /** Relative to the start; a directory's ends in `/`. */
  readonly key: ByteString;
  readonly place: Place;
}

export class KeyCursor {
  readonly #reader: Reader;
  readonly #start: Place;
  #frames: Frame[] = [];
  /** The directory that was answered last, to be entered by the next step. */
  #pending: CursorEntry | undefined;
  /** Entries that will still be asked for. */
  #wanted: number;

  /** `wanted`: about how many entries will be asked for, where that is known: no more are read ahead. */
  constructor(reader: Reader, start: Place, wanted = Number.POSITIVE_INFINITY) {
    this.#reader = reader;
    this.#start = start;
    this.#wanted = wanted;
  }

  /** The next entry will be the first with a key ≥ `key`. */
  seek(key: ByteString): void {
    this.#frames = [];
    this.#pending = undefined;
    let directory = this.#start;
    let prefix = '' as ByteString;
    for (let at = 0; ; ) {
      const slash = key.indexOf('/', at);
      const below = slash >= 0 && slash < key.length - 1;
      const name = key.slice(at, slash) as ByteString;
      const child = below && !isReserved(directory, name) ? childOf(this.#reader, directory, name, 'directory') : undefined;
      if (!child) {
        this.#push(directory, prefix, key.slice(at) as ByteString);
        return;
      }
      this.#push(directory, prefix, `${name}/\0` as ByteString);
      directory = child;
      at = slash + 1;
      prefix = key.slice(0, at) as ByteString;
    }
  }

  /** The next entry will be the first child of the start with an entry name ≥ `name`. */
  seekChild(name: ByteString): void {
    this.#frames = [];
    this.#pending = undefined;
    this.#push(this.#start, '' as ByteString, name);
  }

  /** Moves on; undefined at the end. Enters the directory answered before unless `skip` was called. */
  next(): CursorEntry | undefined {
    if (this.#pending) {
      this.#push(this.#pending.place, this.#pending.key, '' as ByteString);
      this.#pending = undefined;
    }
    for (let frame = this.#frames.at(-1); frame; frame = this.#frames.at(-1)) {
      const entry = this.#nextIn(frame);
      if (entry) {
        this.#wanted--;
        if (entry.place.kind === 'directory') this.#pending = entry;
        return entry;
      }
      this.#frames.pop();
    }
    return undefined;
  }

  /** What lies below the directory answered last is left out. */
  skip(): void {
    this.#pending = undefined;
  }

  #push(directory: Place, prefix: ByteString, from: ByteString): void {
    this.#frames.push({directory, prefix, chunk: [], index: 0, chunkEntries: chunkEntriesMin, from});
  }

  #nextIn(frame: Frame): CursorEntry | undefined {
    for (;;) {
      if (frame.index === frame.chunk.length) {
        if (frame.from === undefined) return undefined;
        const limit = Math.min(frame.chunkEntries, Math.max(this.#wanted, chunkEntriesAtEnd));
        frame.chunk = Array.from(this.#reader.range({...entriesOf(frame.directory.id, frame.from), limit}));
        frame.index = 0;
        const last = frame.chunk.length === limit ? frame.chunk.at(-1) : undefined;
        frame.from = last && (`${nameOfEntryKey(last.key)}\0` as ByteString);
        frame.chunkEntries = Math.min(frame.chunkEntries * 4, chunkEntriesMax);
        if (frame.chunk.length === 0) return undefined;
      }
      const {key, value} = frame.chunk[frame.index++]!;
      const stored = nameOfEntryKey(key);
      const entry = decodeEntry(value);
      const name = (entry.kind === 'directory' ? stored.slice(0, -1) : stored) as ByteString;
      if (isReserved(frame.directory, name)) continue;
      return {key: (frame.prefix + stored) as ByteString, place: placeOf(this.#reader, frame.directory, name, entry)};
    }
  }
}
