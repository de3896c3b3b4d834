/** Records of what webhooks are told: the webhooks themselves (with their secrets), how far each has got, and events that are still to be told. */
import type {ByteString} from '#base/byte-string.ts';
import type {InodeId} from '#base/ids.ts';
import {BinaryReader, BinaryWriter} from '#codec/namespace/binary.ts';
import type {BucketEvent, EventName} from '#model/notification.ts';

export interface Webhook {
  readonly url: string;
  /** Bearer token. */
  readonly token?: string;
  /** Messages are signed with it. */
  readonly secret?: string;
  /** PEM: whom to believe on https instead of the well-known authorities. */
  readonly certificates?: string;
}

export interface WebhookState {
  /** The order of the next event; so many there have been. */
  readonly next: number;
  /** Events that were given up because too many newer ones had come. */
  readonly dropped: number;
}

const version = 1;
const out = new BinaryWriter();
const webhookReader = new BinaryReader('webhook');
const stateReader = new BinaryReader('webhook state');
const eventReader = new BinaryReader('event');

const tokenFlag = 1;
const secretFlag = 2;
const certificatesFlag = 4;
const webhookFlags = 7;

export function encodeWebhook({url, token, secret, certificates}: Webhook): Uint8Array {
  out.byte(version);
  out.byte((token === undefined ? 0 : tokenFlag) | (secret === undefined ? 0 : secretFlag) | (certificates === undefined ? 0 : certificatesFlag));
  out.text(url);
  for (const text of [token, secret, certificates]) if (text !== undefined) out.text(text);
  return out.take();
}

/** Throws Corrupt, as the others do. */
export function decodeWebhook(record: Uint8Array): Webhook {
  const flags = begin(webhookReader, record, webhookFlags);
  const url = webhookReader.text();
  const token = flags & tokenFlag ? {token: webhookReader.text()} : {};
  const secret = flags & secretFlag ? {secret: webhookReader.text()} : {};
  const certificates = flags & certificatesFlag ? {certificates: webhookReader.text()} : {};
  webhookReader.end();
  return {url, ...token, ...secret, ...certificates};
}

export function encodeWebhookState({next, dropped}: WebhookState): Uint8Array {
  out.byte(version);
  out.byte(0);
  out.number(next);
  out.number(dropped);
  return out.take();
}

export function decodeWebhookState(record: Uint8Array): WebhookState {
  begin(stateReader, record, 0);
  const state = {next: stateReader.number(), dropped: stateReader.number()};
  stateReader.end();
  return state;
}

const sizeFlag = 1;
const etagFlag = 2;
const versionFlag = 4;
const eventFlags = 7;

export function encodeEvent({name, bucket, key, configurationId, time, sequence, principal, remote, requestId, owner, size, etag, versionId}: BucketEvent): Uint8Array {
  out.byte(version);
  out.byte((size === undefined ? 0 : sizeFlag) | (etag === undefined ? 0 : etagFlag) | (versionId === undefined ? 0 : versionFlag));
  out.text(name);
  out.byteString(bucket);
  out.byteString(key);
  out.text(configurationId);
  out.int64(time);
  out.number(sequence);
  for (const text of [principal, remote, requestId, owner]) out.text(text);
  if (size !== undefined) out.number(size);
  if (etag !== undefined) out.text(etag);
  if (versionId !== undefined) out.text(versionId);
  return out.take();
}

export function decodeEvent(record: Uint8Array): BucketEvent {
  const flags = begin(eventReader, record, eventFlags);
  const event = {
    name: eventReader.text() as EventName, bucket: eventReader.byteString(), key: eventReader.byteString(), configurationId: eventReader.text(), time: eventReader.int64(), sequence: eventReader.number(),
    principal: eventReader.text(), remote: eventReader.text(), requestId: eventReader.text(), owner: eventReader.text(),
    ...(flags & sizeFlag ? {size: eventReader.number()} : {}), ...(flags & etagFlag ? {etag: eventReader.text()} : {}), ...(flags & versionFlag ? {versionId: eventReader.text()} : {}),
  };
  eventReader.end();
  return event;
}

/** A tree that was renamed: of each file below it is told that it has gone from its old key and come to its new one. */
export interface RenamedTree {
  readonly inode: InodeId;
  /** Paths of the tree, both ending in `/`, and the directories of their first names; 0: nobody listens there. */
  readonly from: ByteString;
  readonly to: ByteString;
  readonly fromTop: InodeId | 0;
  readonly toTop: InodeId | 0;
  readonly principal: string;
  readonly remote: string;
  readonly requestId: string;
  /** The last key below it that was told of; empty at the beginning. */
  readonly after: ByteString;
}

const treeReader = new BinaryReader('renamed tree');

export function encodeRenamedTree({inode, from, to, fromTop, toTop, principal, remote, requestId, after}: RenamedTree): Uint8Array {
  out.byte(version);
  out.byte(0);
  for (const id of [inode, fromTop, toTop]) out.number(id);
  for (const bytes of [from, to, after]) out.byteString(bytes);
  for (const text of [principal, remote, requestId]) out.text(text);
  return out.take();
}

export function decodeRenamedTree(record: Uint8Array): RenamedTree {
  begin(treeReader, record, 0);
  const [inode, fromTop, toTop] = [treeReader.number() as InodeId, treeReader.number() as InodeId, treeReader.number() as InodeId];
  const [from, to, after] = [treeReader.byteString(), treeReader.byteString(), treeReader.byteString()];
  const tree = {inode, from, to, fromTop, toTop, after, principal: treeReader.text(), remote: treeReader.text(), requestId: treeReader.text()};
  treeReader.end();
  return tree;
}

/** Answers the flags. */
function begin(reader: BinaryReader, record: Uint8Array, known: number): number {
  reader.open(record);
  const found = reader.byte();
  if (found !== version) throw reader.corrupt(`version ${found} is not known`);
  const flags = reader.byte();
  if (flags & ~known) throw reader.corrupt(`unknown flags ${flags}`);
  return flags;
}
