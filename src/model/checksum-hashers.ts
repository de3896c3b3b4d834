/**
 * The checksums of S3, computed as bytes stream by. Those made of WebAssembly take 0.2 ms to make and nothing to reset, so finished
 * ones are kept for the next; all the others come with Node.
 */
import {createHash} from 'node:crypto';
import {crc32} from 'node:zlib';
import {crc32c} from '@node-rs/crc32';
import {createCRC64, createXXHash128, createXXHash3, createXXHash64, type IHasher} from 'hash-wasm';
import type {ChecksumAlgorithm} from '#model/content.ts';

export interface ChecksumHasher {
  update(bytes: Uint8Array): void;
  /** Once, at the end. */
  digest(): Buffer;
}

/** Idle hashers of one algorithm; each holds about 100 KB. */
const idleMax = 16;

const makers = {
  crc64nvme: () => createCRC64('9a6c9329ac4bc9b5'),
  xxhash3: () => createXXHash3(),
  xxhash64: () => createXXHash64(),
  xxhash128: () => createXXHash128(),
} as const;
type Compiled = keyof typeof makers;

const idle: Readonly<Record<Compiled, IHasher[]>> = {crc64nvme: [], xxhash3: [], xxhash64: [], xxhash128: []};

const isCompiled = (algorithm: ChecksumAlgorithm): algorithm is Compiled => Object.hasOwn(makers, algorithm);

/** One that is at hand; undefined when it must be made first, which takes time. */
export function readyHasher(algorithm: ChecksumAlgorithm): ChecksumHasher | undefined {
  if (!isCompiled(algorithm)) return builtIn(algorithm);
  const hasher = idle[algorithm].pop();
  return hasher && compiled(algorithm, hasher);
}

export async function checksumHasher(algorithm: ChecksumAlgorithm): Promise<ChecksumHasher> {
  return readyHasher(algorithm) ?? compiled(algorithm as Compiled, await makers[algorithm as Compiled]());
}

function compiled(algorithm: Compiled, hasher: IHasher): ChecksumHasher {
  hasher.init();
  return {
    update: bytes => void hasher.update(bytes),
    digest: () => {
      const digest = Buffer.from(hasher.digest('binary'));
      if (idle[algorithm].length < idleMax) idle[algorithm].push(hasher);
      return digest;
    },
  };
}

function builtIn(algorithm: Exclude<ChecksumAlgorithm, Compiled>): ChecksumHasher {
  if (algorithm !== 'crc32' && algorithm !== 'crc32c') {
    const digest = createHash(algorithm);
    return {update: bytes => void digest.update(bytes), digest: () => digest.digest()};
  }
  let value = 0;
  const next = algorithm === 'crc32' ? (bytes: Uint8Array) => crc32(bytes, value) : (bytes: Uint8Array) => crc32c(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), value);
  return {
    update: bytes => void (value = next(bytes)),
    digest: () => {
      const bytes = Buffer.allocUnsafe(4);
      bytes.writeUInt32BE(value >>> 0);
      return bytes;
    },
  };
}
