/**
 * Who is told of what: rules of buckets are a setting of their directory, read in the transaction of each change, so that a change and the
 * rules that it happened under are of one moment. What was parsed is kept for as long as the setting's bytes are the same.
 */
import {LRUCache} from 'lru-cache';
import type {ByteString} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import type {InodeId} from '#base/ids.ts';
import {encodeRenamedTree} from '#codec/namespace/event-record.ts';
import {nameOfSettingKey, renamedTreeKey, settingKey, settingsTable, webhookKey} from '#codec/namespace/keys.ts';
import {append} from '#master/events/outbox.ts';
import type {EventSink, ObjectChange, Operation, TreeRename} from '#master/namespace/operation.ts';
import {inodeAt} from '#master/namespace/place.ts';
import type {Reader, Transaction} from '#metastore/metastore.ts';
import {type EventName, type Listener, listenerOf, listens, notificationSetting, parseNotification, webhookOfArn} from '#model/notification.ts';
import type {Inode} from '#model/inode.ts';

const bucketsKeptMax = 1_000;

/** Whether any bucket wants to be told of anything. */
export function hasListeners(reader: Reader): boolean {
  for (const {key} of reader.range(settingsTable)) if (nameOfSettingKey(key) === notificationSetting) return true;
  return false;
}

/** The webhooks that rules name. */
export function webhooksOf(rules: string): Set<string> {
  return new Set(parseNotification(rules).map(({arn}) => webhookOfArn(arn) ?? ''));
}

export class BucketEvents implements EventSink {
  readonly #kept = new LRUCache<InodeId, {readonly text: Buffer; readonly listeners: readonly Listener[]}>({max: bucketsKeptMax});
  #noted = false;
  #renamed = false;

  note(tx: Transaction, op: Operation, {name, names, marker, top, inode, versionId}: ObjectChange): void {
    const [bucket, ...rest] = names;
    const listeners = top === undefined || rest.length === 0 ? undefined : this.#listenersOf(tx, top);
    if (!listeners) return;
    const key = (marker ? `${rest.join('/')}/` : rest.join('/')) as ByteString;
    const told = op.context?.lifecycle ? ended(name) : name;
    const listener = listeners.find(one => listens(one, told, key));
    if (!listener) return;
    const {content} = inode ?? {};
    append(tx, listener.webhook, {
      ...this.#about(tx, op, top!, bucket!), name: told, key, configurationId: listener.id,
      ...(content ? {size: content.length, etag: content.etag} : {}), ...(versionId === undefined ? {} : {versionId}),
    });
  }

  configured(tx: Transaction, op: Operation, bucket: Inode, rules: string): void {
    for (const webhook of webhooksOf(rules)) {
      if (!tx.get(webhookKey(webhook))) {
        const missing = `There is no webhook ${JSON.stringify(webhook)}.`;
        throw new WeirError('InvalidArgument', `A specified destination ARN does not exist or is not well-formed. Verify the destination ARN. (${missing})`);
      }
      append(tx, webhook, {...this.#about(tx, op, bucket.id, bucket.name), name: 'TestEvent', key: '' as ByteString, configurationId: ''});
    }
  }

  treeRenamed(tx: Transaction, {ids, context}: Operation, {inode, from, to, fromTop, toTop}: TreeRename): void {
    const listening = (top: InodeId | undefined): InodeId | 0 => (top !== undefined && this.#listenersOf(tx, top) ? top : 0);
    const tops = {fromTop: listening(fromTop), toTop: listening(toTop)};
    if (tops.fromTop === 0 && tops.toTop === 0) return;
    this.#renamed = true;
    const pathOf = (names: readonly ByteString[]): ByteString => `/${names.join('/')}/` as ByteString;
    const {principal, remote = '', trace = ''} = context ?? {};
    tx.put(renamedTreeKey(ids.next()), encodeRenamedTree({inode, from: pathOf(from), to: pathOf(to), ...tops, principal: principal?.name ?? 'weir', remote, requestId: trace, after: '' as ByteString}));
  }

  /** Whether trees may have been renamed since this was asked. */
  takeRenamed(): boolean {
    const renamed = this.#renamed;
    this.#renamed = false;
    return renamed;
  }

  /** Whether events may have been noted since this was asked. */
  takeNoted(): boolean {
    const noted = this.#noted;
    this.#noted = false;
    return noted;
  }

  #about(tx: Transaction, {now, ids, context}: Operation, top: InodeId, bucket: ByteString) {
    this.#noted = true;
    return {
      bucket, time: now, sequence: ids.next<number>(), principal: context?.principal.name ?? 'weir', remote: context?.remote ?? '', requestId: context?.trace ?? '',
      owner: `uid:${inodeAt(tx, {id: top, storeKey: '' as ByteString}).uid}`,
    };
  }

  #listenersOf(tx: Transaction, top: InodeId): readonly Listener[] | undefined {
    const value = tx.get(settingKey(top, notificationSetting));
    if (!value) return undefined;
    const text = Buffer.from(value.buffer, value.byteOffset, value.length);
    const kept = this.#kept.get(top);
    if (kept?.text.equals(text)) return kept.listeners;
    const listeners = parseNotification(text.toString('utf8')).map(listenerOf);
    this.#kept.set(top, {text: Buffer.from(text), listeners});
    return listeners;
  }
}

/** What a rule of the lifecycle does is called otherwise. */
function ended(name: EventName): EventName {
  if (name === 'ObjectRemoved:Delete') return 'LifecycleExpiration:Delete';
  return name === 'ObjectRemoved:DeleteMarkerCreated' ? 'LifecycleExpiration:DeleteMarkerCreated' : name;
}
