/**
 * The digests of bytes that stream by: always MD5 (the ETag), and the checksums that were asked for. MD5 makes 0.6 GB/s per
 * core and runs on the event loop, in slices short enough for other requests to pass in between, or elsewhere.
 */
import {createHash, hash, type Hash} from 'node:crypto';
import {WeirError} from '#base/errors.ts';
import {KiB} from '#base/units.ts';
import {checksumHasher, type ChecksumHasher, readyHasher} from '#model/checksum-hashers.ts';
import type {Checksums} from '#model/content.ts';

/** About 0.4 ms of MD5. */
const sliceBytes = 256 * KiB;

/** A clock, of which only this is needed here. */
export interface Yielding {
  /** Lets others have their turn. */
  yield(): Promise<void>;
}

export interface ExpectedDigests {
  /** Bytes. */
  readonly length?: number;
  /** 32 hexadecimal digits (an ETag) or base64 (a Content-MD5). */
  readonly md5?: string;
  /** base64. */
  readonly checksums?: Checksums;
}

export interface FinishedDigests {
  readonly length: number;
  /** Hexadecimal. */
  readonly md5: string;
  readonly checksums: Checksums;
}

export interface ComputedDigests {
  /** Hexadecimal; empty where only checksums were asked for. */
  readonly md5: string;
  /** base64. */
  readonly checksums: Checksums;
}

/** The digests of one body, on their way beside the event loop. */
export interface DigestWork {
  /** Takes bytes over; resolves when the next may come, and the buffer may be changed. */
  update(chunk: Uint8Array): Promise<void>;
  /** Once. */
  finish(): Promise<ComputedDigests>;
  /** Nobody wants the result any more. Harmless after `finish`. */
  abandon(): void;
}

export interface DigestsElsewhere {
  /** Undefined where the event loop does it as well. `length`: bytes that will come, if known. `md5`: besides the checksums (default true). */
  begin(algorithms: readonly (keyof Checksums)[], length: number | undefined, options?: {readonly md5?: boolean}): DigestWork | undefined;
}

/** The digests themselves, of bytes that come in slices. */
export class Digester {
  readonly #withMd5: boolean;
  #md5: Hash | undefined;
  /** Hexadecimal, of bytes that came in one piece. */
  #wholeMd5: string | undefined;
  readonly #checksums: ReadonlyMap<keyof Checksums, ChecksumHasher>;

  private constructor(checksums: ReadonlyMap<keyof Checksums, ChecksumHasher>, md5: boolean) {
    this.#checksums = checksums;
    this.#withMd5 = md5;
  }

  static async start(algorithms: readonly (keyof Checksums)[], {md5 = true}: {readonly md5?: boolean} = {}): Promise<Digester> {
    const checksums = new Map<keyof Checksums, ChecksumHasher>();
    for (const algorithm of algorithms) checksums.set(algorithm, readyHasher(algorithm) ?? (await checksumHasher(algorithm)));
    return new Digester(checksums, md5);
  }

  /** On the spot; undefined where a checksum's hasher must be made first. */
  static startNow(algorithms: readonly (keyof Checksums)[]): Digester | undefined {
    const checksums = new Map<keyof Checksums, ChecksumHasher>();
    for (const algorithm of algorithms) {
      const hasher = readyHasher(algorithm);
      if (!hasher) return undefined;
      checksums.set(algorithm, hasher);
    }
    return new Digester(checksums, true);
  }

  update(slice: Uint8Array): void {
    if (this.#withMd5) (this.#md5 ??= createHash('md5')).update(slice);
    for (const checksum of this.#checksums.values()) checksum.update(slice);
  }

  /** All bytes in one piece: half the price of an update, of few bytes. */
  whole(bytes: Uint8Array): void {
    if (this.#withMd5) this.#wholeMd5 = hash('md5', bytes, 'hex');
    for (const checksum of this.#checksums.values()) checksum.update(bytes);
  }

  finish(): ComputedDigests {
    const md5 = this.#withMd5 ? (this.#wholeMd5 ?? (this.#md5 ?? createHash('md5')).digest('hex')) : '';
    return {md5, checksums: Object.fromEntries([...this.#checksums].map(([algorithm, checksum]) => [algorithm, checksum.digest().toString('base64')]))};
  }
}

export class Digests {
  readonly #clock: Yielding;
  readonly #work: Digester | DigestWork;
  readonly #announced: number | undefined;
  #length = 0;
  #isWhole = false;

  private constructor(clock: Yielding, work: Digester | DigestWork, announced: number | undefined) {
    this.#clock = clock;
    this.#work = work;
    this.#announced = announced;
  }

  /** `elsewhere`: what was begun for the same algorithms; must be finished or abandoned then. `announced`: bytes that will come, when known; more are refused. */
  static async start(algorithms: readonly (keyof Checksums)[], clock: Yielding, elsewhere?: DigestWork, announced?: number): Promise<Digests> {
    return new Digests(clock, elsewhere ?? (await Digester.start(algorithms)), announced);
  }

  get length(): number {
    return this.#length;
  }

  async update(chunk: Uint8Array): Promise<void> {
    const work = this.#work;
    if (this.#isWhole && chunk.length > 0) throw new WeirError('IncompleteBody', `more than the announced ${this.#length} bytes came`);
    if (!(work instanceof Digester)) await work.update(chunk);
    else if (chunk.length === this.#announced && chunk.length <= sliceBytes && this.#length === 0) {
      this.#isWhole = true;
      work.whole(chunk);
    } else {
      for (let at = 0; at < chunk.length; at += sliceBytes) {
        if (at > 0) await this.#clock.yield();
        work.update(chunk.length <= sliceBytes ? chunk : chunk.subarray(at, at + sliceBytes));
      }
    }
    this.#length += chunk.length;
  }

  /** Nobody will ask for the end. Harmless after `finish`. */
  abandon(): void {
    if (!(this.#work instanceof Digester)) this.#work.abandon();
  }

  /** Ends and compares. IncompleteBody, BadDigest; InvalidArgument when a checksum is expected that was not asked for at the start. */
  async finish(expected: ExpectedDigests | undefined): Promise<FinishedDigests> {
    return compared(await this.#work.finish(), this.#length, expected);
  }
}

/** The digests of bytes that are all there. Fails as Digests.finish. */
export async function digestsOfWhole(chunks: readonly Uint8Array[], algorithms: readonly (keyof Checksums)[], expected: ExpectedDigests | undefined): Promise<FinishedDigests> {
  const digester = Digester.startNow(algorithms) ?? (await Digester.start(algorithms));
  const [only] = chunks;
  if (chunks.length === 1) digester.whole(only!);
  else for (const chunk of chunks) digester.update(chunk);
  return compared(digester.finish(), chunks.reduce((sum, {length}) => sum + length, 0), expected);
}

/** IncompleteBody, BadDigest; InvalidArgument when a checksum is expected that was not computed. */
function compared({md5, checksums}: ComputedDigests, length: number, expected: ExpectedDigests | undefined): FinishedDigests {
  if (expected?.length !== undefined && expected.length !== length) {
    throw new WeirError('IncompleteBody', `${length} bytes came, ${expected.length} were announced`, {details: {received: length, expected: expected.length}});
  }
  if (expected?.md5 !== undefined && md5Hex(expected.md5) !== md5) {
    const details = {CalculatedDigest: Buffer.from(md5, 'hex').toString('base64'), ExpectedDigest: md5Hex(expected.md5)};
    throw new WeirError('BadDigest', 'The Content-MD5 you specified did not match what we received.', {details});
  }
  for (const [algorithm, value] of Object.entries(expected?.checksums ?? {}) as [keyof Checksums, string][]) {
    const computed = checksums[algorithm];
    if (computed === undefined) throw new WeirError('InvalidArgument', `a ${algorithm} checksum was announced at the end but not at the beginning`);
    if (computed !== value) throw new WeirError('BadDigest', `The ${algorithm.toUpperCase()} you specified did not match the calculated checksum.`, {details: {algorithm}});
  }
  return {length, md5, checksums};
}

function md5Hex(text: string): string {
  return /^[0-9a-f]{32}$/i.test(text) ? text.toLowerCase() : Buffer.from(text, 'base64').toString('hex');
}
