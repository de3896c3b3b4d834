/** Conditions on what a path holds, checked in the transaction that changes it. */
import {WeirError} from '#base/errors.ts';
import type {Precondition} from '#contracts/writing.ts';
import {shown} from '#master/namespace/resolve.ts';
import type {Content} from '#model/content.ts';
import type {Path} from '#model/path.ts';

/** PreconditionFailed; NotFound where a version is demanded and there is none (as S3 has it). `path`: where that is. */
export function checkPrecondition(content: Content | undefined, precondition: Precondition | undefined, path: Path): void {
  if (precondition === undefined) return;
  const {ifMatch, ifNoneMatch, ifLength, ifModifiedAt} = precondition;
  if (ifMatch !== undefined || ifLength !== undefined || ifModifiedAt !== undefined) {
    if (!content) throw new WeirError('NotFound', `${shown(path)} does not exist, and only a certain version was to be changed`);
    if (ifMatch !== undefined && ifMatch !== '*' && ifMatch !== content.etag) throw new WeirError('PreconditionFailed', `${shown(path)} has ETag ${content.etag}, not ${ifMatch}`);
    if (ifLength !== undefined && ifLength !== content.length) throw new WeirError('PreconditionFailed', `${shown(path)} has ${content.length} bytes, not ${ifLength}`);
    const modifiedAt = Number(content.committedAt / 1_000_000_000n);
    if (ifModifiedAt !== undefined && ifModifiedAt !== modifiedAt) throw new WeirError('PreconditionFailed', `${shown(path)} is of ${modifiedAt} s, not of ${ifModifiedAt} s`);
  }
  if (ifNoneMatch !== undefined && content && (ifNoneMatch === '*' || ifNoneMatch === content.etag)) {
    throw new WeirError('PreconditionFailed', `${shown(path)} exists with ETag ${content.etag}`);
  }
}
