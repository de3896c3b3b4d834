/** Conditions on what a path holds, checked in the transaction that changes it. */
import {WeirError} from '#base/errors.ts';
import type {Precondition} from '#contracts/writing.ts';
import type {Content} from '#model/content.ts';

/** PreconditionFailed; NotFound where a version is demanded and there is none (as S3 has it). `what` names the path. */
export function checkPrecondition(content: Content | undefined, precondition: Precondition | undefined, what: string): void {
  if (precondition === undefined) return;
  const {ifMatch, ifNoneMatch, ifLength, ifModifiedAt} = precondition;
  if (ifMatch !== undefined || ifLength !== undefined || ifModifiedAt !== undefined) {
    if (!content) throw new WeirError('NotFound', `${what} does not exist, and only a certain version was to be changed`);
    if (ifMatch !== undefined && ifMatch !== '*' && ifMatch !== content.etag) throw new WeirError('PreconditionFailed', `${what} has ETag ${content.etag}, not ${ifMatch}`);
    if (ifLength !== undefined && ifLength !== content.length) throw new WeirError('PreconditionFailed', `${what} has ${content.length} bytes, not ${ifLength}`);
    const modifiedAt = Number(content.committedAt / 1_000_000_000n);
    if (ifModifiedAt !== undefined && ifModifiedAt !== modifiedAt) throw new WeirError('PreconditionFailed', `${what} is of ${modifiedAt} s, not of ${ifModifiedAt} s`);
  }
  if (ifNoneMatch !== undefined && content && (ifNoneMatch === '*' || ifNoneMatch === content.etag)) {
    throw new WeirError('PreconditionFailed', `${what} exists with ETag ${content.etag}`);
  }
}
