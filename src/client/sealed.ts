/** Files whose bytes are sealed (model/seal.ts), for those who have no key: they cannot be read, but copied. */
import type {ByteString} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import type {CopyOptions, FileSystem} from '#client/file-system.ts';
import {bodyChunks} from '#contracts/body-chunks.ts';
import {type CallContext, systemContext} from '#contracts/context.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import type {PartRecord} from '#contracts/writing.ts';
import type {ChecksumAlgorithm, Content} from '#model/content.ts';
import {isSealed} from '#model/seal.ts';

const partsAPage = 1000;

/** PermissionDenied. */
export function refuseSealed(content: Pick<Content, 'metadata'>): void {
  if (isSealed(content)) throw new WeirError('PermissionDenied', 'the file is encrypted with a key of its owner (SSE-C): it can be read through S3 only, with that key');
}

/**
 * A file that was sealed part by part, each part with a salt of its own: the copy is made of the same parts. Its bytes pass through here,
 * as they are.
 */
export async function copySealedParts(files: FileSystem, source: FileInfo, to: ByteString, options: CopyOptions, context: CallContext): Promise<FileInfo> {
  const {metadata, checksums: whole, upload: sourceUpload} = source.inode.content!;
  const [[checksumAlgorithm, value] = []] = Object.entries(whole) as [ChecksumAlgorithm, string][];
  const asked = checksumAlgorithm ? {checksumAlgorithm, checksumType: value!.includes('-') ? 'COMPOSITE' : 'FULL_OBJECT'} as const : {};
  const {sourceVersion: version, xattrs, precondition} = options;
  await using file = await files.open(source.path, {kind: options.kind ?? 'file', sealed: true, ...(version === undefined ? {} : {version})}, context);
  if (file.info.inode.content?.id !== source.inode.content!.id) throw new WeirError('ContentChanged', 'the file was replaced while it was being copied');
  const {uploadId} = await files.createUpload(to, {kind: 'file', metadata, ...asked, ...(xattrs ? {xattrs} : {}), ...(precondition ? {precondition} : {})}, context);
  try {
    const copied: PartRecord[] = [];
    let offset = 0;
    for (let page: readonly PartRecord[] = []; copied.length === 0 || page.length === partsAPage; ) {
      page = await files.listParts(source.path, sourceUpload!.id, copied.at(-1)?.partNumber ?? 0, partsAPage, context);
      if (page.length === 0) break;
      for (const {partNumber, length, etag, checksums, salt} of page) {
        const writer = await files.uploadPart(to, uploadId, partNumber, {length}, context);
        try {
          if (length > 0) for await (const chunk of bodyChunks(await file.read({offset, length}, context))) await writer.write(chunk);
          copied.push(await writer.commit({length}, {etag, checksums, ...(salt ? {salt} : {})}));
        } catch (error) {
          await writer.abort();
          throw error;
        }
        offset += length;
      }
    }
    return await files.completeUpload(to, uploadId, copied, {length: source.length, ...(precondition ? {precondition} : {})}, context);
  } catch (error) {
    // Also after the caller has gone away.
    await files.abortUpload(to, uploadId, {...context, signal: systemContext.signal}).catch(() => undefined);
    throw error;
  }
}
