/** GetBucketAcl, PutBucketAcl, GetObjectAcl, PutObjectAcl. */
import {toText} from '#base/byte-string.ts';
import {type Acl, cannedGrants, encodeAcl} from '#codec/s3/acl.ts';
import {aclXml, parseAccessControlPolicy} from '#codec/s3/access-documents.ts';
import {accessDenied, S3Error} from '#codec/s3/s3-error.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import type {Owner} from '#contracts/identity-api.ts';
import {accessSettings} from '#frontends/s3/access/bucket-rules.ts';
import {aclNotSupported, checkedGrants, givenAcl, grantsOfHeaders, hasAclHeaders} from '#frontends/s3/access/granting.ts';
import {aclAttribute, aclOf} from '#frontends/s3/access/request-access.ts';
import {documentOf} from '#frontends/s3/request-body.ts';
import {refuseMarker, versionOf} from '#frontends/s3/versions.ts';
import {answer, bucketOf, bucketPath, isShown, keyOf, objectPath, type Operation, type S3Request, xml} from '#frontends/s3/request.ts';

function showAcl(request: S3Request, owner: Owner, acl: Acl | undefined): Promise<void> {
  const {access} = request;
  const grants = access.rules.aclsOff || !acl ? cannedGrants('private', owner.id, owner.id) : acl.grants;
  return xml(request, aclXml(owner, grants, (id) => access.directory.ownerById(id)));
}

/** The list that a request puts on something of `owner`'s, by headers or by document. */
async function aclToPut(request: S3Request, owner: Owner): Promise<Acl['grants']> {
  const {rules, directory} = request.access;
  const document = await documentOf(request);
  // Said before what is wrong with the headers themselves.
  if (document.length > 0 && hasAclHeaders(request)) throw new S3Error('UnexpectedContent', 'This request does not support content.');
  const given = givenAcl(request);
  if (!given && document.length === 0) throw new S3Error('MissingSecurityHeader', 'Your request was missing a required header.', {MissingHeaderName: 'x-amz-acl'});
  if (given) {
    if (rules.aclsOff && given.canned !== 'bucket-owner-full-control') throw aclNotSupported();
    return checkedGrants(grantsOfHeaders(given, owner, rules.owner), directory, rules.block);
  }
  const policy = parseAccessControlPolicy(document);
  if (rules.aclsOff) throw aclNotSupported();
  if (policy.owner !== owner.id) throw accessDenied();
  return checkedGrants(policy.grants, directory, rules.block);
}

export const getBucketAcl: Operation = (request) => showAcl(request, request.access.rules.owner, request.access.rules.acl);

export const putBucketAcl: Operation = async (request) => {
  const {owner} = request.access.rules;
  const grants = await aclToPut(request, owner);
  await request.files.setSetting(bucketPath(bucketOf(request)), accessSettings.acl, encodeAcl({grants}), request.context);
  await answer(request, 200);
};

async function objectOf(request: S3Request): Promise<FileInfo> {
  const info = await request.files.stat(objectPath(bucketOf(request), keyOf(request)), {kind: 'file', ...versionOf(request)}, request.context);
  refuseMarker(info);
  if (!isShown(info)) throw new S3Error('NoSuchKey', 'The specified key does not exist.', {Key: toText(keyOf(request))});
  return info;
}

export const getObjectAcl: Operation = async (request) => {
  const acl = aclOf(await objectOf(request));
  await showAcl(request, request.access.ownerOf(acl), acl);
};

export const putObjectAcl: Operation = async (request) => {
  const info = await objectOf(request);
  const owner = request.access.ownerOf(aclOf(info));
  const grants = await aclToPut(request, owner);
  const acl = {...(owner.id === request.access.rules.owner.id ? {} : {owner: owner.id}), grants};
  await request.files.setAttributes(info.path, {xattrs: {[aclAttribute]: Buffer.from(encodeAcl(acl), 'utf8')}}, {kind: info.inode.kind === 'directory' ? 'directory' : 'file', ...versionOf(request)}, request.context);
  await answer(request, 200);
};
