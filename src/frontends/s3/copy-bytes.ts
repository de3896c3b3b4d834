/** CopyObject where the bytes do not stay as they are: opened, sealed, or sealed anew, on their way through here. */
import type {ByteString} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import {defaultAlgorithm} from '#codec/s3/checksums.ts';
import type {CustomerKey} from '#codec/s3/customer-key.ts';
import type {CopyOptions} from '#client/file-system.ts';
import {bodyChunks} from '#contracts/body-chunks.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import type {S3Request} from '#frontends/s3/request.ts';
import {openerOf} from '#frontends/s3/opening.ts';
import {sealWhole, writeSealed} from '#frontends/s3/sealing.ts';
import {versionOption} from '#frontends/s3/versions.ts';
import type {ChecksumAlgorithm} from '#model/content.ts';

export interface CopyBytesOptions extends Pick<CopyOptions, 'sourceVersion' | 'xattrs' | 'metadata' | 'onePiece' | 'precondition' | 'writeType'> {
  /** What the source is under, and what the copy will be. */
  readonly sourceKey: CustomerKey | undefined;
  readonly key: CustomerKey | undefined;
}

const noBytes = {kind: 'bytes', length: 0, bytes: new Uint8Array(0)} as const;

/** What was opened is what was looked at, and what conditions were asked of. PreconditionFailed. */
export function requireSame(opened: FileInfo, found: FileInfo): void {
  if (opened.inode.content?.id !== found.inode.content?.id) throw new WeirError('PreconditionFailed', 'the source was replaced while it was being copied');
}

/** The source as `info` says; its keys were checked. PreconditionFailed when it is another version by now. */
export async function copyBytes(request: S3Request, info: FileInfo, to: ByteString, options: CopyBytesOptions): Promise<FileInfo> {
  const {files, context} = request;
  const {sourceVersion, sourceKey, key, xattrs, precondition, writeType} = options;
  const range = {offset: 0, length: info.inode.content?.length ?? info.length};
  await using file = await files.open(info.path, {kind: 'file', sealed: true, range, ...versionOption(sourceVersion)}, context);
  requireSame(file.info, info);
  const opened = await openerOf(request, file.info, sourceKey);
  const sealed = key && sealWhole(request, key);
  const wanted = options.onePiece?.checksum;
  const [used = defaultAlgorithm] = wanted ? [wanted] : (Object.keys(info.inode.content?.checksums ?? {}) as ChecksumAlgorithm[]);
  const metadata = {...options.metadata, ...sealed?.metadata};
  const writer = await files.create(
    to,
    {
      kind: 'file', parents: 'implied', origin: 'copy', metadata, length: range.length, checksums: sealed ? [] : [used],
      ...(xattrs ? {xattrs} : {}), ...(precondition ? {precondition} : {}), ...(writeType ? {writeType} : {}),
    },
    context,
  );
  try {
    const bytes = bodyChunks(range.length > 0 ? await opened(range, await file.read(range, context)) : noBytes);
    const expected = {length: range.length};
    if (sealed) return await writer.commit(expected, await writeSealed(request, writer, bytes, {sealing: sealed.sealing, checksums: [used], expected: () => expected}));
    for await (const chunk of bytes) await writer.write(chunk);
    return await writer.commit(expected);
  } catch (error) {
    await writer.abort();
    throw error;
  }
}
