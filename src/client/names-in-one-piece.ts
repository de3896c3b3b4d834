/**
 * What S3 calls a copy, which is one piece, whatever its source was made of: its ETag is the MD5 of its bytes, its checksum one of all
 * its bytes, by the algorithm that was asked for or else the source's. Source: "CopyObject" and "Checking object integrity" of the S3
 * documentation. What the source has in that form goes with the copy; only what is missing costs reading the bytes.
 */
import {createHash} from 'node:crypto';
import {GiB} from '#base/units.ts';
import {bodyChunks} from '#contracts/body-chunks.ts';
import type {CallContext} from '#contracts/context.ts';
import type {WorkerApi} from '#contracts/worker-api.ts';
import {checksumHasher} from '#model/checksum-hashers.ts';
import type {ChecksumAlgorithm, Checksums, Content} from '#model/content.ts';

/** What is larger S3 does not copy in one request; here it keeps the names of its source. */
const readBytesMax = 5 * GiB;
const ofParts = /-\d+$/;
const etagOfParts = /^[0-9a-f]{32}-\d+$/;

/** `wanted`: undefined for the source's. ContentChanged. */
export async function namesInOnePiece(
  worker: Pick<WorkerApi, 'read'>, content: Content, wanted: ChecksumAlgorithm | undefined, context: CallContext,
): Promise<{readonly etag: string; readonly checksums: Checksums}> {
  const {etag, checksums, length} = content;
  const [algorithm] = wanted ? [wanted] : (Object.keys(checksums) as ChecksumAlgorithm[]);
  const known = algorithm && checksums[algorithm];
  const wantsChecksum = algorithm !== undefined && (known === undefined || ofParts.test(known));
  if ((!wantsChecksum && !etagOfParts.test(etag)) || length > readBytesMax) return {etag, checksums: wanted && known !== undefined ? {[wanted]: known} : checksums};
  const md5 = createHash('md5');
  const hasher = wantsChecksum ? await checksumHasher(algorithm) : undefined;
  if (length > 0) {
    for await (const chunk of bodyChunks(await worker.read(content, {offset: 0, length}, {}, context))) {
      md5.update(chunk);
      hasher?.update(chunk);
    }
  }
  const checksum = hasher ? hasher.digest().toString('base64') : known;
  return {etag: etagOfParts.test(etag) ? md5.digest('hex') : etag, checksums: checksum === undefined ? {} : {[algorithm!]: checksum}};
}
