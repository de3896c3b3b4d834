import assert from 'node:assert/strict';
import test from 'node:test';
import {notificationXml, parseNotificationXml} from '#codec/s3/notification-xml.ts';
import type {NotificationRule} from '#model/notification.ts';

const arn = 'arn:weir:sqs::hook:webhook';
const rules: readonly NotificationRule[] = [
  {id: 'a', form: 'Queue', arn, events: ['s3:ObjectCreated:Put', 's3:ObjectCreated:Post'], filter: [{name: 'Prefix', value: 'in/'}, {name: 'suffix', value: '.jpg'}]},
  {id: 'b', form: 'Topic', arn: 'arn:minio:sqs:us-east-1:hook:webhook', events: ['s3:ObjectRemoved:*'], filter: []},
  {id: 'c', form: 'CloudFunction', arn, events: ['s3:ObjectCreated:*'], filter: [{name: 'prefix', value: 'out/'}]},
];
const parse = (text: string): NotificationRule[] => parseNotificationXml(Buffer.from(`<NotificationConfiguration>${text}</NotificationConfiguration>`), () => 'new');
const queue = (inner: string): string => `<QueueConfiguration>${inner}</QueueConfiguration>`;
const one = (event: string, filter = '', id = ''): string => queue(`${id === '' ? '' : `<Id>${id}</Id>`}<Queue>${arn}</Queue><Event>${event}</Event>${filter}`);
const filter = (...pairs: readonly (readonly [string, string])[]): string =>
  `<Filter><S3Key>${pairs.map(([name, value]) => `<FilterRule><Name>${name}</Name><Value>${value}</Value></FilterRule>`).join('')}</S3Key></Filter>`;

test('rules come back as they were sent', () => {
  assert.deepEqual(parseNotificationXml(Buffer.from(notificationXml(rules)), () => 'new'), rules);
  assert.deepEqual(parse(''), []);
  assert.equal(parse(one('s3:ObjectCreated:*', '<Filter/>'))[0]?.id, 'new');
});

test('what S3 refuses is refused', () => {
  const refused = (code: string, text: string, message = /./): void => assert.throws(() => parse(text), (error: Error & {code?: string}) => error.code === code && message.test(error.message), text);
  refused('MalformedXML', queue(`<Queue>${arn}</Queue>`));
  refused('MalformedXML', queue('<Event>s3:ObjectCreated:*</Event>'));
  refused('MalformedXML', '<Other/>');
  refused('NotImplemented', '<EventBridgeConfiguration/>');
  refused('InvalidArgument', one('s3:ObjectCreated'), /event is not supported/);
  refused('InvalidArgument', one('s3:Anything'), /event is not supported/);
  for (const bad of ['arn:aws:sqs:us-east-1:1:q', 'hook', 'arn:weir:sqs::a b:webhook']) refused('InvalidArgument', queue(`<Queue>${bad}</Queue><Event>s3:ObjectCreated:*</Event>`), /destination ARN/);
  refused('InvalidArgument', one('s3:ObjectCreated:*', filter(['infix', 'x'])), /either prefix or suffix/);
  refused('InvalidArgument', one('s3:ObjectCreated:*', filter(['prefix', 'x'], ['Prefix', 'y'])), /more than one prefix/);
  refused('InvalidArgument', one('s3:ObjectCreated:*', filter(['prefix', 'x'.repeat(1025)])), /1024 bytes/);
  refused('InvalidArgument', one('s3:ObjectCreated:*', '', 'x') + one('s3:ObjectRemoved:*', '', 'x'), /unique/);
  refused('InvalidArgument', one('s3:ObjectCreated:*', '', 'x') + one('s3:ObjectCreated:Put', '', 'y'), /overlap/);
  refused('InvalidArgument', one('s3:ObjectCreated:*', filter(['prefix', 'a']), 'x') + one('s3:ObjectCreated:Put', filter(['prefix', 'ab']), 'y'), /ambiguously/);
  refused('InvalidArgument', queue(`<Queue>${arn}</Queue><Event>s3:ObjectCreated:*</Event><Event>s3:ObjectCreated:Put</Event>`), /overlap/);
  assert.equal(parse(one('s3:ObjectCreated:*', filter(['prefix', 'a'], ['suffix', '.x']), 'x') + one('s3:ObjectCreated:*', filter(['prefix', 'a'], ['suffix', '.y']), 'y')).length, 2);
  assert.equal(parse(one('s3:ObjectCreated:*', filter(['prefix', 'a']), 'x') + one('s3:ObjectCreated:*', filter(['prefix', 'b']), 'y')).length, 2);
});
