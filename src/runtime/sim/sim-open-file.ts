/** An open file of the simulated disk, in one life of its machine. */
import {WeirError} from '#base/errors.ts';
import type {Descriptor} from '#model/file-lease.ts';
import {type DiskFile, type FileStat, writeNowBytesMax} from '#runtime/disk.ts';
import type {Life} from '#runtime/sim/life.ts';
import {type SimFile, statOf} from '#runtime/sim/platter.ts';

/** Virtual milliseconds of each kind of call, from quickest to slowest. */
export const times = {name: [0.01, 0.1], read: [0.02, 0.3], write: [0.01, 0.2], sync: [0.2, 4]} as const;
/** How often what is asked for on the spot is there, or done. */
export const residentChance = 0.75;

export type DiskOperation = 'read' | 'write' | 'sync';

/** The calls of a disk, where they are counted and made to fail. */
export interface DiskCalls {
  readonly counts: {bytesWritten: number};
  /** One more; throws when its time to fail has come. */
  begin(operation: DiskOperation, path: string): void;
  /** Whether the next would fail. */
  fails(operation: DiskOperation): boolean;
}

interface OpenWays {
  readonly writable: boolean;
  readonly durable: boolean;
}

const filesOfDescriptors = new WeakMap<Descriptor, SimFile>();

export class SimOpenFile implements DiskFile {
  readonly descriptor = Object.freeze({}) as Descriptor;
  readonly file: SimFile;
  readonly #disk: DiskCalls;
  readonly #life: Life;
  readonly #path: string;
  readonly #ways: OpenWays;
  readonly #nowNs: () => bigint;
  #closed = false;

  constructor(disk: DiskCalls, life: Life, file: SimFile, path: string, ways: OpenWays, nowNs: () => bigint) {
    this.#disk = disk;
    this.#life = life;
    this.file = file;
    filesOfDescriptors.set(this.descriptor, file);
    this.#path = path;
    this.#ways = ways;
    this.#nowNs = nowNs;
  }

  async read(into: Uint8Array, position: number): Promise<number> {
    this.#check();
    this.#disk.begin('read', this.#path);
    await this.#life.pause(...times.read);
    return this.file.seen.read(into, position);
  }

  readResident(into: Uint8Array, position: number): number | undefined {
    this.#life.check();
    this.#check();
    return this.#life.random.chance(residentChance) ? this.file.seen.read(into, position) : undefined;
  }

  async write(buffers: readonly Uint8Array[], position: number): Promise<void> {
    this.#check(true);
    this.#disk.begin('write', this.#path);
    // In the cache of the system from now on: a crash while this waits may keep parts of it.
    if (this.#life.alive) this.#put(buffers, position);
    if (!this.#ways.durable) return await this.#life.pause(...times.write);
    this.#disk.begin('sync', this.#path);
    const keep = this.file.prepareSync(buffers.length);
    await this.#life.pause(...times.sync);
    keep();
    this.#life.note(`datasync ${this.#path}`);
  }

  writeNow(buffer: Uint8Array, position: number): boolean {
    this.#check();
    const {writable, durable} = this.#ways;
    // What a dead life is refused it asks for again, and waits.
    if (!this.#life.alive || !writable || durable || buffer.length > writeNowBytesMax || !this.#life.random.chance(residentChance) || this.#disk.fails('write')) return false;
    this.#disk.begin('write', this.#path);
    this.#put([buffer], position);
    return true;
  }

  beginWriteBack(): void {
    this.#check();
  }

  async copyFrom(source: Descriptor, from: number, length: number, position: number): Promise<boolean> {
    this.#check(true);
    if (!this.#life.random.chance(residentChance)) return false;
    const bytes = new Uint8Array(length);
    if (filesOfDescriptors.get(source)!.seen.read(bytes, from) < length) return false;
    await this.write([bytes], position);
    return true;
  }

  async datasync(): Promise<void> {
    this.#check();
    this.#disk.begin('sync', this.#path);
    const keep = this.file.prepareSync();
    await this.#life.pause(...times.sync);
    keep();
    this.#life.note(`datasync ${this.#path}`);
  }

  async truncate(size: number): Promise<void> {
    this.#check(true);
    this.#disk.begin('write', this.#path);
    await this.#life.pause(...times.write);
    this.#change({kind: 'cut', size});
  }

  async punch(offset: number, length: number): Promise<void> {
    this.#check(true);
    this.#disk.begin('write', this.#path);
    await this.#life.pause(...times.write);
    this.#change({kind: 'zero', position: offset, length});
  }

  /** Without holes, as some file systems are. */
  async seek(position: number, to: 'data' | 'hole'): Promise<number | undefined> {
    const {size} = await this.stat();
    if (position >= size) return to === 'data' ? undefined : size;
    return to === 'data' ? position : size;
  }

  async stat(): Promise<FileStat> {
    this.#check();
    await this.#life.pause(...times.name);
    return statOf(this.file);
  }

  statNow(): FileStat | undefined {
    this.#life.check();
    this.#check();
    return this.#life.random.chance(residentChance) ? statOf(this.file) : undefined;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#life.pause(0, 0);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #put(buffers: readonly Uint8Array[], position: number): void {
    let at = position;
    for (const buffer of buffers) {
      this.#change({kind: 'write', position: at, bytes: new Uint8Array(buffer)});
      at += buffer.length;
    }
    this.#disk.counts.bytesWritten += at - position;
    this.#life.note(`write ${this.#path} ${position}+${at - position}`);
  }

  #change(change: Parameters<SimFile['change']>[0]): void {
    this.file.change(change);
    this.file.mtimeNs = this.#nowNs();
  }

  #check(writing = false): void {
    if (this.#closed) throw new WeirError('Io', `${this.#path} is closed`);
    if (writing && !this.#ways.writable) throw new WeirError('Io', `${this.#path} is open for reading only`);
  }
}
