/**
 * Access control lists: canned ones, grants in headers, and the form in which they are kept. Source: "Access control list (ACL) overview"
 * of the S3 User Guide.
 */
import {S3Error} from '#codec/s3/s3-error.ts';

export type Permission = 'FULL_CONTROL' | 'READ' | 'WRITE' | 'READ_ACP' | 'WRITE_ACP';
export type GranteeGroup = 'AllUsers' | 'AuthenticatedUsers' | 'LogDelivery';

export type Grantee = {readonly id: string} | {readonly group: GranteeGroup};
export interface Grant {
  readonly grantee: Grantee;
  readonly permission: Permission;
}

export interface Acl {
  /** Canonical id; undefined: whose the bucket is. */
  readonly owner?: string;
  readonly grants: readonly Grant[];
}

export const permissions: readonly Permission[] = ['FULL_CONTROL', 'READ', 'WRITE', 'READ_ACP', 'WRITE_ACP'];
/** "An ACL can have up to 100 grants." */
export const grantsMax = 100;
export const ownerIdPattern = /^[0-9a-f]{64}$/;

const groupUris: Readonly<Record<GranteeGroup, string>> = {
  AllUsers: 'http://acs.amazonaws.com/groups/global/AllUsers',
  AuthenticatedUsers: 'http://acs.amazonaws.com/groups/global/AuthenticatedUsers',
  LogDelivery: 'http://acs.amazonaws.com/groups/s3/LogDelivery',
};

export const uriOfGroup = (group: GranteeGroup): string => groupUris[group];

/** InvalidArgument. */
export function groupOfUri(uri: string): GranteeGroup {
  const found = (Object.keys(groupUris) as GranteeGroup[]).find((group) => groupUris[group] === uri);
  if (!found) throw new S3Error('InvalidArgument', 'Invalid group uri', {ArgumentName: 'uri', ArgumentValue: uri.slice(0, 200)});
  return found;
}

/** Grants of a canned ACL, beside the owner's own. InvalidArgument. */
export function cannedGrants(name: string, owner: string, bucketOwner: string): Grant[] {
  const full: Grant = {grantee: {id: owner}, permission: 'FULL_CONTROL'};
  const to = (grantee: Grantee, permission: Permission): Grant => ({grantee, permission});
  switch (name) {
    case 'private': return [full];
    case 'public-read': return [to({group: 'AllUsers'}, 'READ'), full];
    case 'public-read-write': return [to({group: 'AllUsers'}, 'READ'), to({group: 'AllUsers'}, 'WRITE'), full];
    case 'authenticated-read': return [to({group: 'AuthenticatedUsers'}, 'READ'), full];
    case 'log-delivery-write': return [to({group: 'LogDelivery'}, 'WRITE'), to({group: 'LogDelivery'}, 'READ_ACP'), full];
    case 'bucket-owner-read': return owner === bucketOwner ? [full] : [full, to({id: bucketOwner}, 'READ')];
    case 'bucket-owner-full-control': return owner === bucketOwner ? [full] : [full, to({id: bucketOwner}, 'FULL_CONTROL')];
    default: throw new S3Error('InvalidArgument', '', {ArgumentName: 'x-amz-acl', ArgumentValue: name.slice(0, 100)});
  }
}

const grantHeaders: readonly (readonly [header: string, permission: Permission])[] = [
  ['x-amz-grant-full-control', 'FULL_CONTROL'], ['x-amz-grant-read', 'READ'], ['x-amz-grant-write', 'WRITE'], ['x-amz-grant-read-acp', 'READ_ACP'], ['x-amz-grant-write-acp', 'WRITE_ACP'],
];

export const aclHeaderNames: readonly string[] = ['x-amz-acl', ...grantHeaders.map(([header]) => header)];

export interface AclHeaders {
  readonly canned?: string;
  /** Absent when no grant was in the headers. */
  readonly grants?: readonly Grant[];
}

/** `x-amz-acl` and `x-amz-grant-…: id="…", uri="…"`; undefined when there is none. InvalidRequest, InvalidArgument. */
export function aclOfHeaders(header: (name: string) => string | undefined): AclHeaders | undefined {
  const canned = header('x-amz-acl') || undefined;
  const given = grantHeaders.flatMap(([name, permission]) => {
    const value = header(name);
    return value === undefined ? [] : [{value, permission}];
  });
  if (canned !== undefined && given.length > 0) throw new S3Error('InvalidRequest', 'Specifying both Canned ACLs and Header Grants is not allowed.');
  if (canned === undefined && given.length === 0) return undefined;
  const grants = given.flatMap(({value, permission}) => granteesOf(value).map((grantee): Grant => ({grantee, permission})));
  return {...(canned === undefined ? {} : {canned}), ...(grants.length > 0 ? {grants} : {})};
}

function granteesOf(value: string): Grantee[] {
  return value.split(',').map((part) => {
    const [, kind, quoted, bare] = /^\s*(id|uri|emailAddress)\s*=\s*(?:"([^"]*)"|([^"\s]+))\s*$/.exec(part) ?? [];
    const text = quoted ?? bare;
    if (kind === 'uri' && text) return {group: groupOfUri(text)};
    if (kind === 'id' && text) return {id: text};
    if (kind === 'emailAddress') throw new S3Error('InvalidArgument', 'Grantees by e-mail address are not supported; use the canonical user id', {ArgumentName: 'emailAddress'});
    throw new S3Error('InvalidArgument', 'Argument format not recognized', {ArgumentValue: part.slice(0, 200)});
  });
}

export function isPublicGrant({grantee}: Grant): boolean {
  return 'group' in grantee && grantee.group !== 'LogDelivery';
}

const covers = (given: Permission, wanted: Permission): boolean => given === wanted || given === 'FULL_CONTROL';

/** Whether one of the grants gives `wanted` to somebody: `id` undefined is anybody. */
export function grantsTo(grants: readonly Grant[], wanted: Permission, who: {readonly id?: string | undefined; readonly groups: readonly GranteeGroup[]}): boolean {
  return grants.some(({grantee, permission}) => covers(permission, wanted) && ('id' in grantee ? grantee.id === who.id : who.groups.includes(grantee.group)));
}

/** As kept with a bucket or object. */
export function encodeAcl(acl: Acl): string {
  return JSON.stringify({v: 1, ...(acl.owner === undefined ? {} : {o: acl.owner}), g: acl.grants.map(({grantee, permission}) => ('id' in grantee ? {i: grantee.id, p: permission} : {u: grantee.group, p: permission}))});
}

/** What encodeAcl made; whoever may write the file's attributes by other doors may not write these. */
export function decodeAcl(text: string): Acl {
  const {o, g} = JSON.parse(text) as {o?: string; g: ({i: string; p: Permission} | {u: GranteeGroup; p: Permission})[]};
  return {...(o === undefined ? {} : {owner: o}), grants: g.map((grant) => ({grantee: 'i' in grant ? {id: grant.i} : {group: grant.u}, permission: grant.p}))};
}
