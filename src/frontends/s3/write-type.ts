/** How one request wants its object acknowledged (`x-weir-write-type`), and what HEAD and GET say of an object that its store has not got yet. */
import {isKind} from '#base/errors.ts';
import {S3Error} from '#codec/s3/s3-error.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import type {S3Request} from '#frontends/s3/request.ts';
import {parseWriteType, type WriteType} from '#model/mount.ts';

const header = 'x-weir-write-type';

/** InvalidArgument. */
export function writeTypeOf(request: S3Request): {readonly writeType?: WriteType} {
  const text = request.header(header);
  if (text === undefined) return {};
  try {
    return {writeType: parseWriteType(text)};
  } catch (error) {
    throw isKind(error, 'InvalidArgument') ? new S3Error('InvalidArgument', error.message, {ArgumentName: header, ArgumentValue: text}) : error;
  }
}

export function persistHeaders({inode}: FileInfo): readonly string[] {
  const state = inode.content?.pending;
  return state ? ['x-weir-persist', state] : [];
}
