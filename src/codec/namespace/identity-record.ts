/** Records of users, keys, groups, policies, and of the instance's own account. Their names are in their keys. They hold secrets. */
import {BinaryReader, BinaryWriter} from '#codec/namespace/binary.ts';
import {readTexts, writeTexts} from '#codec/namespace/content.ts';

export interface UserRecord {
  readonly account: 'own' | 'instance';
  readonly accountId: string;
  readonly ownerId: string;
  readonly uid: number;
  readonly active: boolean;
  readonly groups: readonly string[];
  readonly policies: readonly string[];
  /** Name to document. */
  readonly inline: Readonly<Record<string, string>>;
  /** Wall milliseconds, as all times here. */
  readonly createdAt: number;
}

export interface KeyRecord {
  readonly user: string;
  readonly secret: string;
  readonly active: boolean;
  readonly description: string;
  readonly createdAt: number;
  readonly expiresAt?: number;
}

export interface GroupRecord {
  readonly policies: readonly string[];
  readonly inline: Readonly<Record<string, string>>;
}

export interface PolicyRecord {
  readonly text: string;
}

/** The instance's account, and the key by which it seals session tokens. */
export interface RealmRecord {
  readonly accountId: string;
  readonly ownerId: string;
  readonly seal: Uint8Array;
}

const version = 1;
const ownAccount = 1;
const active = 2;

const out = new BinaryWriter();
const readers = {user: new BinaryReader('user'), key: new BinaryReader('key'), group: new BinaryReader('group'), policy: new BinaryReader('policy'), realm: new BinaryReader('realm')};

function writeList(list: readonly string[]): void {
  out.number(list.length);
  for (const item of list) out.text(item);
}

function readList(reader: BinaryReader): string[] {
  const list: string[] = [];
  for (let rest = reader.number(); rest > 0; rest--) list.push(reader.text());
  return list;
}

function opened(reader: BinaryReader, record: Uint8Array): BinaryReader {
  reader.open(record);
  const found = reader.byte();
  if (found !== version) throw reader.corrupt(`version ${found} is not known`);
  return reader;
}

export function encodeUser(user: UserRecord): Uint8Array {
  out.byte(version);
  out.byte((user.account === 'own' ? ownAccount : 0) | (user.active ? active : 0));
  out.text(user.accountId);
  out.text(user.ownerId);
  out.number(user.uid);
  writeList(user.groups);
  writeList(user.policies);
  writeTexts(out, user.inline);
  out.number(user.createdAt);
  return out.take();
}

/** Throws Corrupt, as all decoders here. */
export function decodeUser(record: Uint8Array): UserRecord {
  const reader = opened(readers.user, record);
  const flags = reader.byte();
  const user: UserRecord = {
    account: flags & ownAccount ? 'own' : 'instance', active: (flags & active) !== 0, accountId: reader.text(), ownerId: reader.text(), uid: reader.number(), groups: readList(reader),
    policies: readList(reader), inline: readTexts(reader), createdAt: reader.number(),
  };
  reader.end();
  return user;
}

export function encodeAccessKey(key: KeyRecord): Uint8Array {
  out.byte(version);
  out.byte(key.active ? active : 0);
  out.text(key.user);
  out.text(key.secret);
  out.text(key.description);
  out.number(key.createdAt);
  out.number(key.expiresAt === undefined ? 0 : key.expiresAt + 1);
  return out.take();
}

export function decodeAccessKey(record: Uint8Array): KeyRecord {
  const reader = opened(readers.key, record);
  const isActive = (reader.byte() & active) !== 0;
  const key = {user: reader.text(), secret: reader.text(), active: isActive, description: reader.text(), createdAt: reader.number()};
  const expires = reader.number();
  reader.end();
  return expires === 0 ? key : {...key, expiresAt: expires - 1};
}

export function encodeGroup(group: GroupRecord): Uint8Array {
  out.byte(version);
  writeList(group.policies);
  writeTexts(out, group.inline);
  return out.take();
}

export function decodeGroup(record: Uint8Array): GroupRecord {
  const reader = opened(readers.group, record);
  const group = {policies: readList(reader), inline: readTexts(reader)};
  reader.end();
  return group;
}

export function encodePolicy(policy: PolicyRecord): Uint8Array {
  out.byte(version);
  out.text(policy.text);
  return out.take();
}

export function decodePolicy(record: Uint8Array): PolicyRecord {
  const reader = opened(readers.policy, record);
  const policy = {text: reader.text()};
  reader.end();
  return policy;
}

export function encodeRealm(realm: RealmRecord): Uint8Array {
  out.byte(version);
  out.text(realm.accountId);
  out.text(realm.ownerId);
  out.bytes(realm.seal);
  return out.take();
}

export function decodeRealm(record: Uint8Array): RealmRecord {
  const reader = opened(readers.realm, record);
  const realm = {accountId: reader.text(), ownerId: reader.text(), seal: reader.bytes()};
  reader.end();
  return realm;
}
