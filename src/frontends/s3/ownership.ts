/** Public access block and ownership controls of a bucket: put, get, delete. */
import {type ObjectOwnership, ownershipControlsXml, parseOwnershipControls, parsePublicAccessBlock, publicAccessBlockXml} from '#codec/s3/access-documents.ts';
import type {Grant} from '#codec/s3/acl.ts';
import {S3Error} from '#codec/s3/s3-error.ts';
import {accessSettings} from '#frontends/s3/access/bucket-rules.ts';
import {documentOf} from '#frontends/s3/request-body.ts';
import {answer, bucketOf, bucketPath, type Operation, type S3Request, xml} from '#frontends/s3/request.ts';

async function set(request: S3Request, name: string, value: string | null): Promise<void> {
  await request.files.setSetting(bucketPath(bucketOf(request)), name, value, request.context);
}

export const putPublicAccessBlock: Operation = async (request) => {
  await set(request, accessSettings.publicAccessBlock, JSON.stringify(parsePublicAccessBlock(await documentOf(request))));
  await answer(request, 200);
};

export const getPublicAccessBlock: Operation = async (request) => {
  const {block} = request.access.rules;
  if (!block) throw new S3Error('NoSuchPublicAccessBlockConfiguration', 'The public access block configuration was not found');
  await xml(request, publicAccessBlockXml(block));
};

export const deletePublicAccessBlock: Operation = async (request) => {
  if (request.access.rules.block) await set(request, accessSettings.publicAccessBlock, null);
  await answer(request, 204);
};

/** Where lists are switched off, none may be left that gives anything to others. InvalidBucketAclWithObjectOwnership. */
export function checkEnforceable(ownership: ObjectOwnership, grants: readonly Grant[] | undefined, ownerId: string): void {
  const given = grants?.some(({grantee}) => !('id' in grantee) || grantee.id !== ownerId);
  if (ownership === 'BucketOwnerEnforced' && given) throw new S3Error('InvalidBucketAclWithObjectOwnership', "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting");
}

export const putOwnershipControls: Operation = async (request) => {
  const {rules} = request.access;
  const ownership = parseOwnershipControls(await documentOf(request));
  checkEnforceable(ownership, rules.acl?.grants, rules.owner.id);
  await set(request, accessSettings.ownership, ownership);
  await answer(request, 200);
};

export const getOwnershipControls: Operation = async (request) => {
  const {ownership} = request.access.rules;
  if (!ownership) throw new S3Error('OwnershipControlsNotFoundError', 'The bucket ownership controls were not found.');
  await xml(request, ownershipControlsXml(ownership));
};

export const deleteOwnershipControls: Operation = async (request) => {
  if (request.access.rules.ownership) await set(request, accessSettings.ownership, null);
  await answer(request, 204);
};
