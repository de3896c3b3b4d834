/**
 * What the event loop and a placing thread say to each other: files, and what they look like at their places, in memory that both see. A message says
 * that it is there; to clone the paths and times of each file would cost both more than all else that they do for it.
 */
import {assert} from '#base/assert.ts';
import {type DiskPath, type FileStat, type PlacedFile, placedAbsentMax, placedFilesMax, placedPathBytesMax, placedTogetherBytesMax} from '#runtime/disk.ts';

/** Its bytes lie in the shared memory. */
export interface FileToPlace {
  readonly draft: Buffer;
  readonly place: Buffer;
  readonly directory: Buffer;
  readonly absent: readonly Buffer[];
  readonly permissions: number;
  readonly at: number;
  readonly length: number;
}

/** Of the file of that number: the system's code and words. */
export interface PlacingFailure {
  readonly file: number;
  readonly code: string;
  readonly message: string;
}

export interface PlacingOrder {
  readonly files: number;
  /** Of what is said about them. */
  readonly headBytes: number;
}

/** First the thread says that it is there. Then which files have failed; of the others the memory says what they look like. */
export type PlacingAnswer = 'ready' | readonly PlacingFailure[];

/** Of a file: where its bytes are, how many, permissions, absent paths; then each path with its length before it. */
const headBytes = 4 * 4;
const headsBytesMax = placedFilesMax * (headBytes + (3 + placedAbsentMax) * (4 + placedPathBytesMax));
const statFields = 9;

export class PlacingMemory {
  readonly shared: SharedArrayBuffer;
  readonly #stats: BigInt64Array;
  readonly #heads: Buffer;
  readonly #bytes: Uint8Array;

  /** That of the other side, or a new one. */
  constructor(shared?: SharedArrayBuffer) {
    const statBytes = placedFilesMax * statFields * 8;
    this.shared = shared ?? new SharedArrayBuffer(statBytes + headsBytesMax + placedTogetherBytesMax);
    this.#stats = new BigInt64Array(this.shared, 0, placedFilesMax * statFields);
    this.#heads = Buffer.from(this.shared, statBytes, headsBytesMax);
    this.#bytes = new Uint8Array(this.shared, statBytes + headsBytesMax);
  }

  get bytes(): Uint8Array {
    return this.#bytes;
  }

  putFiles(files: readonly PlacedFile[]): PlacingOrder {
    const heads = this.#heads;
    let head = 0;
    let at = 0;
    for (const {bytes, permissions, absent, draft, place, directory} of files) {
      assert(absent.length <= placedAbsentMax, 'few names are to be absent');
      this.#bytes.set(bytes, at);
      for (const number of [at, bytes.length, permissions, absent.length]) head = heads.writeUInt32LE(number, head);
      for (const path of [draft, place, directory, ...absent]) head = this.#putPath(path, head);
      at += bytes.length;
    }
    return {files: files.length, headBytes: head};
  }

  files({files, headBytes}: PlacingOrder): FileToPlace[] {
    // Paths are handed to calls of the system, which take none from memory that may change.
    const heads = Buffer.from(this.#heads.subarray(0, headBytes));
    let head = 0;
    const take = (): number => heads.readUInt32LE((head += 4) - 4);
    const takePath = (): Buffer => {
      const length = take();
      return heads.subarray(head, (head += length));
    };
    return Array.from({length: files}, () => {
      const [at, length, permissions, absent] = [take(), take(), take(), take()];
      return {at, length, permissions, draft: takePath(), place: takePath(), directory: takePath(), absent: Array.from({length: absent}, takePath)};
    });
  }

  putStat(file: number, {size, allocated, mode, uid, gid, mtimeNs, ctimeNs, device, inode}: FileStat): void {
    this.#stats.set([BigInt(size), BigInt(allocated), BigInt(mode), BigInt(uid), BigInt(gid), mtimeNs, ctimeNs, device, inode], file * statFields);
  }

  stat(file: number): FileStat {
    const field = (number: number): bigint => this.#stats[file * statFields + number]!;
    return {
      kind: 'file', size: Number(field(0)), allocated: Number(field(1)), mode: Number(field(2)), uid: Number(field(3)), gid: Number(field(4)), mtimeNs: field(5), ctimeNs: field(6),
      device: BigInt.asUintN(64, field(7)), inode: BigInt.asUintN(64, field(8)),
    };
  }

  #putPath(path: DiskPath, at: number): number {
    const length = typeof path === 'string' ? this.#heads.write(path, at + 4, placedPathBytesMax) : path.length;
    assert(length < placedPathBytesMax, 'a path of a placed file is short');
    if (typeof path !== 'string') this.#heads.set(path, at + 4);
    this.#heads.writeUInt32LE(length, at);
    return at + 4 + length;
  }
}
