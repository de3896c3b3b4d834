/** Lists that requests make: of what they write, and of what is there already. */
import {type Acl, aclHeaderNames, type AclHeaders, aclOfHeaders, cannedGrants, encodeAcl, type Grant, grantsMax, isPublicGrant} from '#codec/s3/acl.ts';
import {accessDenied, S3Error} from '#codec/s3/s3-error.ts';
import type {IdentityDirectory, Owner} from '#contracts/identity-api.ts';
import type {BucketRules} from '#frontends/s3/access/bucket-rules.ts';
import {aclAttribute} from '#frontends/s3/access/request-access.ts';
import type {S3Request} from '#frontends/s3/request.ts';

export const aclNotSupported = (): S3Error => new S3Error('AccessControlListNotSupported', 'The bucket does not allow ACLs.');

/** The list in the headers. */
export function givenAcl(request: Pick<S3Request, 'header'>): AclHeaders | undefined {
  return aclOfHeaders((name) => request.header(name));
}

export function hasAclHeaders(request: Pick<S3Request, 'header'>): boolean {
  return aclHeaderNames.some((name) => request.header(name) !== undefined);
}

/** Grants as they are asked for on a thing of `owner`'s. InvalidArgument (nobody has such an id), MalformedACLError, AccessDenied (public, where that is blocked). */
export function checkedGrants(grants: readonly Grant[], directory: IdentityDirectory, block: BucketRules['block']): readonly Grant[] {
  if (grants.length > grantsMax) throw new S3Error('MalformedACLError', 'The XML you provided was not well-formed or did not validate against our published schema.');
  for (const {grantee} of grants) {
    if ('id' in grantee && !directory.ownerById(grantee.id)) throw new S3Error('InvalidArgument', 'Invalid id', {ArgumentName: 'CanonicalUser/ID', ArgumentValue: grantee.id.slice(0, 100)});
  }
  if (block?.BlockPublicAcls && grants.some(isPublicGrant)) throw accessDenied();
  return grants;
}

export function grantsOfHeaders({canned, grants}: AclHeaders, owner: Owner, bucketOwner: Owner): readonly Grant[] {
  return grants ?? cannedGrants(canned!, owner.id, bucketOwner.id);
}

/** What an object is to begin with: nothing where it is the bucket owner's and nobody else's. AccessControlListNotSupported, and as checkedGrants. */
function aclOfWrite(request: S3Request): Acl | undefined {
  const {access} = request;
  const given = givenAcl(request);
  const {rules, directory} = access;
  const bucketOwners = given?.canned === 'bucket-owner-full-control';
  if (rules.aclsOff) {
    if (given && !bucketOwners) throw aclNotSupported();
    return undefined;
  }
  const owner = rules.ownership === 'BucketOwnerPreferred' && bucketOwners ? rules.owner : access.writer;
  const own = owner.id === rules.owner.id;
  if (!given) return own ? undefined : {owner: owner.id, grants: cannedGrants('private', owner.id, rules.owner.id)};
  const grants = checkedGrants(grantsOfHeaders(given, owner, rules.owner), directory, rules.block);
  if (own && (given.canned === 'private' || bucketOwners)) return undefined;
  return {...(own ? {} : {owner: owner.id}), grants};
}

/** Attributes that an object begins with, for its list. */
export function aclAttributes(request: S3Request): Readonly<Record<string, Uint8Array>> {
  const acl = aclOfWrite(request);
  return acl ? {[aclAttribute]: Buffer.from(encodeAcl(acl), 'utf8')} : {};
}
