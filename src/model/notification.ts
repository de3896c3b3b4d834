/**
 * Whom a bucket tells of what happens in it ("Supported event types" and "Notification configuration", S3 User Guide). Rules are kept as
 * a setting of the bucket's directory; targets are webhooks that the operator has made, named by an ARN.
 */
import {type ByteString, fromText} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import type {TimeNs} from '#model/content.ts';

/** What happens here, as rules name it without `s3:`. */
export type EventName =
  | `ObjectCreated:${'Put' | 'Post' | 'Copy' | 'CompleteMultipartUpload'}`
  | `ObjectRemoved:${'Delete' | 'DeleteMarkerCreated'}`
  | `ObjectTagging:${'Put' | 'Delete'}`
  | 'ObjectAcl:Put'
  | `LifecycleExpiration:${'Delete' | 'DeleteMarkerCreated'}`
  | 'TestEvent';

/** All that S3 knows. Of those that Weir never does (restores, replication, other storage classes) nobody is ever told. */
export const knownEvents: ReadonlySet<string> = new Set([
  's3:ReducedRedundancyLostObject', 's3:IntelligentTiering', 's3:LifecycleTransition', 's3:ObjectAcl:Put',
  ...['*', 'Put', 'Post', 'Copy', 'CompleteMultipartUpload'].map(name => `s3:ObjectCreated:${name}`),
  ...['*', 'Delete', 'DeleteMarkerCreated'].flatMap(name => [`s3:ObjectRemoved:${name}`, `s3:LifecycleExpiration:${name}`]),
  ...['*', 'Put', 'Delete'].map(name => `s3:ObjectTagging:${name}`),
  ...['*', 'Post', 'Completed', 'Delete'].map(name => `s3:ObjectRestore:${name}`),
  ...['*', 'OperationFailedReplication', 'OperationMissedThreshold', 'OperationReplicatedAfterThreshold', 'OperationNotTracked'].map(name => `s3:Replication:${name}`),
]);

export interface FilterRule {
  /** `prefix` or `suffix`, in the letters that were sent. */
  readonly name: string;
  readonly value: string;
}

export interface NotificationRule {
  readonly id: string;
  /** The element that was sent, to be given back; they mean the same here. */
  readonly form: 'Queue' | 'Topic' | 'CloudFunction';
  readonly arn: string;
  readonly events: readonly string[];
  readonly filter: readonly FilterRule[];
}

/** The name of the setting that holds a bucket's rules, as JSON. */
export const notificationSetting = 'notification';

export const webhookNamePattern = /^[A-Za-z0-9_-]{1,64}$/;
const arnPattern = /^arn:(?:weir|minio):(?:sqs|sns|lambda):[a-z0-9-]{0,64}:([A-Za-z0-9_-]{1,64}):webhook$/;

export const arnOfWebhook = (name: string): string => `arn:weir:sqs::${name}:webhook`;

/** The webhook that an ARN names; undefined when it is none of ours. */
export function webhookOfArn(arn: string): string | undefined {
  return arnPattern.exec(arn)?.[1];
}

/** As written by the front end that checked them. Corrupt. */
export function parseNotification(text: string): readonly NotificationRule[] {
  try {
    const rules: unknown = JSON.parse(text);
    if (Array.isArray(rules)) return rules as NotificationRule[];
  } catch {
    // Told below.
  }
  throw new WeirError('Corrupt', 'the notification rules of a bucket cannot be read');
}

/** What is told. */
export interface BucketEvent {
  readonly name: EventName;
  readonly bucket: ByteString;
  /** Relative to the bucket; empty for a test. */
  readonly key: ByteString;
  readonly configurationId: string;
  readonly time: TimeNs;
  /** Greater than that of every earlier event of the same key. */
  readonly sequence: number;
  /** Who did it, and from where; empty where that is not known. */
  readonly principal: string;
  readonly remote: string;
  readonly requestId: string;
  /** Whose the bucket is. */
  readonly owner: string;
  /** Bytes. */
  readonly size?: number;
  readonly etag?: string;
  readonly versionId?: string;
}

/** A rule made ready for asking. */
export interface Listener {
  readonly id: string;
  readonly webhook: string;
  readonly events: readonly string[];
  readonly prefix: ByteString;
  readonly suffix: ByteString;
}

export function listenerOf({id, arn, events, filter}: NotificationRule): Listener {
  const value = (wanted: string): ByteString => fromText(filter.find(({name}) => name.toLowerCase() === wanted)?.value ?? '');
  return {id, webhook: webhookOfArn(arn) ?? '', events, prefix: value('prefix'), suffix: value('suffix')};
}

/** `key`: the bytes of it. At most one rule listens to an event of a key: such as overlap are refused. */
export function listens({events, prefix, suffix}: Listener, event: EventName, key: ByteString): boolean {
  return key.startsWith(prefix) && key.endsWith(suffix) && events.some(name => covers(name, `s3:${event}`));
}

/** Whether whoever listens to `name` (`s3:ObjectCreated:*`) hears of `event`. */
export function covers(name: string, event: string): boolean {
  return name === event || (name.endsWith(':*') && event.startsWith(name.slice(0, -1)));
}
