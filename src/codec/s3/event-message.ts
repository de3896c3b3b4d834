/** The message that a webhook receives: "Event message structure", S3 User Guide, version 2.x; one record a message. */
import {toText} from '#base/byte-string.ts';
import {uriEncode} from '#codec/s3/sigv4.ts';
import type {BucketEvent} from '#model/notification.ts';

/** Of events that came later with S3. */
const laterEvents = /^(ObjectTagging|ObjectAcl|LifecycleExpiration):/;
const region = 'us-east-1';

/** UTF-8 JSON. `sequencer` tells the order of events of one key: compare as text. */
export function eventMessage(event: BucketEvent): string {
  const {name, bucket, key, size, etag, versionId, time, principal, remote, requestId, configurationId, owner, sequence} = event;
  const when = new Date(Number(time / 1_000_000n)).toISOString();
  const bucketName = toText(bucket);
  if (name === 'TestEvent') return JSON.stringify({Service: 'Amazon S3', Event: 's3:TestEvent', Time: when, Bucket: bucketName, RequestId: requestId, HostId: requestId});
  const object = {
    // As in forms: a space is a plus.
    key: uriEncode(key, true).replaceAll('%20', '+'),
    ...(size === undefined ? {} : {size}), ...(etag === undefined ? {} : {eTag: etag}), ...(versionId === undefined ? {} : {versionId}),
    sequencer: sequence.toString(16).toUpperCase().padStart(16, '0'),
  };
  const record = {
    eventVersion: laterEvents.test(name) ? '2.3' : '2.1', eventSource: 'aws:s3', awsRegion: region, eventTime: when, eventName: name,
    userIdentity: {principalId: principal}, requestParameters: {sourceIPAddress: remote}, responseElements: {'x-amz-request-id': requestId, 'x-amz-id-2': requestId},
    s3: {s3SchemaVersion: '1.0', configurationId, bucket: {name: bucketName, ownerIdentity: {principalId: owner}, arn: `arn:aws:s3:::${bucketName}`}, object},
  };
  return JSON.stringify({Records: [record]});
}
