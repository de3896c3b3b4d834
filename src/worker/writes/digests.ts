/**
 * The digests of bytes that stream by: always MD5 (the ETag), and the checksums that were asked for. MD5 makes 0.6 GB/s per
 * core and runs on the event loop, in slices short enough for other requests to pass in between.
 */
import {createHash, type Hash} from 'node:crypto';
import {crc32} from 'node:zlib';
import {crc32c} from '@node-rs/crc32';
import {createCRC64, type IHasher} from 'hash-wasm';
import {WeirError} from '#base/errors.ts';
import {KiB} from '#base/units.ts';
import type {Checksums} from '#model/content.ts';
import type {Clock} from '#runtime/clock.ts';

/** About 0.4 ms of MD5. */
const sliceBytes = 256 * KiB;

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

interface RunningChecksum {
  update(bytes: Uint8Array): void;
  /** base64. */
  digest(): string;
}

export class Digests {
  readonly #clock: Pick<Clock, 'yield'>;
  readonly #md5: Hash = createHash('md5');
  readonly #checksums: ReadonlyMap<keyof Checksums, RunningChecksum>;
  #length = 0;

  private constructor(clock: Pick<Clock, 'yield'>, checksums: ReadonlyMap<keyof Checksums, RunningChecksum>) {
    this.#clock = clock;
    this.#checksums = checksums;
  }

  static async start(algorithms: readonly (keyof Checksums)[], clock: Pick<Clock, 'yield'>): Promise<Digests> {
    const checksums = new Map<keyof Checksums, RunningChecksum>();
    for (const algorithm of algorithms) checksums.set(algorithm, algorithm === 'crc64nvme' ? hasher64(await createCRC64('9a6c9329ac4bc9b5')) : running(algorithm));
    return new Digests(clock, checksums);
  }

  get length(): number {
    return this.#length;
  }

  async update(chunk: Uint8Array): Promise<void> {
    for (let at = 0; at < chunk.length; at += sliceBytes) {
      if (at > 0) await this.#clock.yield();
      const slice = chunk.length <= sliceBytes ? chunk : chunk.subarray(at, at + sliceBytes);
      this.#md5.update(slice);
      for (const checksum of this.#checksums.values()) checksum.update(slice);
    }
    this.#length += chunk.length;
  }

  /** Ends and compares. IncompleteBody, BadDigest; InvalidArgument when a checksum is expected that was not asked for at the start. */
  finish(expected: ExpectedDigests | undefined): FinishedDigests {
    const md5 = this.#md5.digest('hex');
    const checksums = Object.fromEntries([...this.#checksums].map(([algorithm, checksum]) => [algorithm, checksum.digest()])) as Checksums;
    if (expected?.length !== undefined && expected.length !== this.#length) {
      throw new WeirError('IncompleteBody', `${this.#length} bytes came, ${expected.length} were announced`, {details: {received: this.#length, expected: expected.length}});
    }
    if (expected?.md5 !== undefined && md5Hex(expected.md5) !== md5) throw new WeirError('BadDigest', 'the MD5 of the bytes that came is not the one that was announced');
    for (const [algorithm, value] of Object.entries(expected?.checksums ?? {}) as [keyof Checksums, string][]) {
      const computed = checksums[algorithm];
      if (computed === undefined) throw new WeirError('InvalidArgument', `a ${algorithm} checksum was announced at the end but not at the beginning`);
      if (computed !== value) throw new WeirError('BadDigest', `the ${algorithm} of the bytes that came is not the one that was announced`, {details: {algorithm}});
    }
    return {length: this.#length, md5, checksums};
  }
}

function md5Hex(text: string): string {
  return /^[0-9a-f]{32}$/i.test(text) ? text.toLowerCase() : Buffer.from(text, 'base64').toString('hex');
}

function running(algorithm: 'crc32' | 'crc32c' | 'sha1' | 'sha256'): RunningChecksum {
  if (algorithm === 'sha1' || algorithm === 'sha256') {
    const digest = createHash(algorithm);
    return {update: bytes => void digest.update(bytes), digest: () => digest.digest('base64')};
  }
  const next = algorithm === 'crc32' ? (bytes: Uint8Array, value: number) => crc32(bytes, value) : (bytes: Uint8Array, value: number) => crc32c(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), value);
  let value = 0;
  return {
    update: bytes => void (value = next(bytes, value)),
    digest: () => {
      const bytes = Buffer.alloc(4);
      bytes.writeUInt32BE(value >>> 0);
      return bytes.toString('base64');
    },
  };
}

function hasher64(hasher: IHasher): RunningChecksum {
  hasher.init();
  return {update: bytes => void hasher.update(bytes), digest: () => Buffer.from(hasher.digest('hex'), 'hex').toString('base64')};
}
