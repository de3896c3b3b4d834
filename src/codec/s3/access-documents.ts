/** XML of access: AccessControlPolicy, PublicAccessBlockConfiguration, OwnershipControls. S3 API reference, data types. */
import {type Acl, type Grant, type Grantee, grantsMax, groupOfUri, type Permission, permissions, uriOfGroup} from '#codec/s3/acl.ts';
import {S3Error} from '#codec/s3/s3-error.ts';
import {child, type Element, malformed, parseXml} from '#codec/s3/xml-read.ts';
import {element, xmlDocument} from '#codec/s3/xml-write.ts';

export interface ShownOwner {
  readonly id: string;
  readonly displayName: string;
}

export const ownerXml = ({id, displayName}: ShownOwner): string => `<Owner>${element('ID', id)}${element('DisplayName', displayName)}</Owner>`;

/** Groups first, then users. `show` finds the names of canonical ids. */
export function aclXml(owner: ShownOwner, grants: readonly Grant[], show: (id: string) => ShownOwner | undefined): string {
  const ordered = [...grants].sort((a, b) => Number('id' in a.grantee) - Number('id' in b.grantee));
  const rows = ordered.map(({grantee, permission}) => `<Grant>${granteeXml(grantee, show)}${element('Permission', permission)}</Grant>`);
  return xmlDocument('AccessControlPolicy', `${ownerXml(owner)}<AccessControlList>${rows.join('')}</AccessControlList>`);
}

function granteeXml(grantee: Grantee, show: (id: string) => ShownOwner | undefined): string {
  const open = (type: string) => `<Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="${type}">`;
  if ('group' in grantee) return `${open('Group')}${element('URI', uriOfGroup(grantee.group))}</Grantee>`;
  const known = show(grantee.id);
  return `${open('CanonicalUser')}${element('ID', grantee.id)}${known ? element('DisplayName', known.displayName) : ''}</Grantee>`;
}

const malformedAcl = () => new S3Error('MalformedACLError', 'The XML you provided was not well-formed or did not validate against our published schema.');
const childOf = (parent: Element, name: string): Element | undefined => parent.children.find((candidate) => candidate.name === name);

/** The owner that the document names, and its grants. MalformedACLError, InvalidArgument. */
export function parseAccessControlPolicy(xml: Buffer): Acl & {readonly owner: string} {
  let root: Element;
  try {
    root = parseXml(xml, 'AccessControlPolicy');
  } catch (error) {
    throw error instanceof S3Error ? malformedAcl() : error;
  }
  const owner = childOf(root, 'Owner');
  const id = owner && child(owner, 'ID')?.trim();
  const list = childOf(root, 'AccessControlList');
  if (!id || !list) throw malformedAcl();
  const grants = list.children.map(grantOf);
  if (grants.length > grantsMax) throw malformedAcl();
  return {owner: id, grants};
}

function grantOf(grant: Element): Grant {
  const grantee = childOf(grant, 'Grantee');
  const permission = child(grant, 'Permission')?.trim() as Permission;
  if (grant.name !== 'Grant' || !grantee || !permissions.includes(permission)) throw malformedAcl();
  const [id, uri, email] = ['ID', 'URI', 'EmailAddress'].map((name) => child(grantee, name)?.trim());
  switch (grantee.attributes['type'] ?? (uri ? 'Group' : 'CanonicalUser')) {
    case 'Group':
      if (!uri) throw malformedAcl();
      return {grantee: {group: groupOfUri(uri)}, permission};
    case 'CanonicalUser':
      if (!id) throw malformedAcl();
      return {grantee: {id}, permission};
    case 'AmazonCustomerByEmail':
      throw new S3Error('InvalidArgument', 'Grantees by e-mail address are not supported; use the canonical user id', {ArgumentName: 'EmailAddress', ArgumentValue: (email ?? '').slice(0, 200)});
    default:
      throw malformedAcl();
  }
}

const blockNames = ['BlockPublicAcls', 'IgnorePublicAcls', 'BlockPublicPolicy', 'RestrictPublicBuckets'] as const;
export type PublicAccessBlock = Readonly<Record<(typeof blockNames)[number], boolean>>;

export function publicAccessBlockXml(block: PublicAccessBlock): string {
  return xmlDocument('PublicAccessBlockConfiguration', blockNames.map((name) => element(name, block[name])).join(''));
}

/** What is not named is false. MalformedXML. */
export function parsePublicAccessBlock(xml: Buffer): PublicAccessBlock {
  const root = parseXml(xml, 'PublicAccessBlockConfiguration');
  const flag = (name: string): boolean => {
    const text = child(root, name)?.trim().toLowerCase();
    if (text !== undefined && text !== 'true' && text !== 'false') throw malformed();
    return text === 'true';
  };
  return {BlockPublicAcls: flag('BlockPublicAcls'), IgnorePublicAcls: flag('IgnorePublicAcls'), BlockPublicPolicy: flag('BlockPublicPolicy'), RestrictPublicBuckets: flag('RestrictPublicBuckets')};
}

const ownerships = ['BucketOwnerEnforced', 'BucketOwnerPreferred', 'ObjectWriter'] as const;
export type ObjectOwnership = (typeof ownerships)[number];

/** Undefined for words that are none. */
export function objectOwnershipOf(text: string): ObjectOwnership | undefined {
  return ownerships.find((known) => known === text);
}

export function ownershipControlsXml(ownership: ObjectOwnership): string {
  return xmlDocument('OwnershipControls', `<Rule>${element('ObjectOwnership', ownership)}</Rule>`);
}

/** MalformedXML. */
export function parseOwnershipControls(xml: Buffer): ObjectOwnership {
  const {children} = parseXml(xml, 'OwnershipControls');
  const ownership = objectOwnershipOf(children.length === 1 && children[0]!.name === 'Rule' ? (child(children[0]!, 'ObjectOwnership')?.trim() ?? '') : '');
  if (!ownership) throw malformed();
  return ownership;
}
