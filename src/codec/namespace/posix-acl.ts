/**
 * Access control lists as Linux hands them over in extended attributes (include/uapi/linux/posix_acl_xattr.h), little-endian: a version
 * of 4 bytes, then entries of tag (2), permissions (2) and id (4), in the order owner, users, group, groups, mask, others.
 */
import {WeirError} from '#base/errors.ts';
import type {AclName, PosixAcl} from '#model/posix-acl.ts';

const version = 2;
const headBytes = 4;
const entryBytes = 8;
const tag = {owner: 0x01, user: 0x02, group: 0x04, groups: 0x08, mask: 0x10, other: 0x20} as const;
const noId = 0xffff_ffff;
/** As many as one extended attribute has room for. */
const entriesMax = (65_536 - headBytes) / entryBytes;

export function encodePosixAcl({owner, users, group, groups, mask, other}: PosixAcl): Uint8Array {
  const rows: (readonly [tag: number, permissions: number, id: number])[] = [
    [tag.owner, owner, noId], ...users.map(({id, permissions}) => [tag.user, permissions, id] as const), [tag.group, group, noId],
    ...groups.map(({id, permissions}) => [tag.groups, permissions, id] as const), ...(mask === undefined ? [] : [[tag.mask, mask, noId] as const]), [tag.other, other, noId],
  ];
  const bytes = Buffer.alloc(headBytes + rows.length * entryBytes);
  bytes.writeUInt32LE(version, 0);
  rows.forEach(([kind, permissions, id], i) => {
    const at = headBytes + i * entryBytes;
    bytes.writeUInt16LE(kind, at);
    bytes.writeUInt16LE(permissions, at + 2);
    bytes.writeUInt32LE(id, at + 4);
  });
  return bytes;
}

/** InvalidArgument: it is none, or not a whole one. */
export function decodePosixAcl(value: Uint8Array): PosixAcl {
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.length);
  const count = (bytes.length - headBytes) / entryBytes;
  if (!Number.isInteger(count) || count < 3 || count > entriesMax || bytes.readUInt32LE(0) !== version) throw broken('it has no whole entries of version 2');
  const one = new Map<number, number>();
  const named = new Map<number, AclName[]>([[tag.user, []], [tag.groups, []]]);
  let last = 0;
  for (let at = headBytes; at < bytes.length; at += entryBytes) {
    const [kind, permissions, id] = [bytes.readUInt16LE(at), bytes.readUInt16LE(at + 2), bytes.readUInt32LE(at + 4)];
    const names = named.get(kind);
    if (permissions > 7 || kind < last || (!names && kind === last)) throw broken('its entries are not in order');
    last = kind;
    if (names) names.push({id, permissions});
    else if (kind === tag.owner || kind === tag.group || kind === tag.mask || kind === tag.other) one.set(kind, permissions);
    else throw broken(`an entry is of no kind that is known (${kind})`);
  }
  const [owner, group, other, mask] = [one.get(tag.owner), one.get(tag.group), one.get(tag.other), one.get(tag.mask)];
  const [users, groups] = [named.get(tag.user)!, named.get(tag.groups)!];
  if (owner === undefined || group === undefined || other === undefined) throw broken('owner, group and others are in every list');
  if (mask === undefined && users.length + groups.length > 0) throw broken('who is named needs a mask');
  return {owner, users, group, groups, other, ...(mask === undefined ? {} : {mask})};
}

function broken(why: string): WeirError {
  return new WeirError('InvalidArgument', `an access control list is broken: ${why}`);
}
