import assert from 'node:assert/strict';
import test from 'node:test';
import {lifecycleXml, parseLifecycle} from '#codec/s3/lifecycle-xml.ts';
import type {LifecycleRule} from '#model/lifecycle.ts';

const rules: readonly LifecycleRule[] = [
  {id: 'a', enabled: true, form: 'prefix', filter: {prefix: 'x/'}, expiration: {days: 3}},
  {id: 'b', enabled: false, form: 'filter', filter: {}, expiration: {expiredDeleteMarker: true}},
  {id: 'c', enabled: true, form: 'filter', filter: {tags: [['k', 'v<']]}, expiration: {dateMs: Date.UTC(2030, 0, 1)}},
  {id: 'd', enabled: true, form: 'and', filter: {prefix: 'p', tags: [['k', '']], sizeOver: 1, sizeUnder: 9}, noncurrent: {days: 2, keep: 5}},
  {id: 'e', enabled: true, form: 'filter', filter: {prefix: ''}, abortUploadsAfterDays: 7},
];
const parse = (text: string): LifecycleRule[] => parseLifecycle(Buffer.from(text), () => 'new');
const one = (inner: string): string => `<LifecycleConfiguration><Rule>${inner}</Rule></LifecycleConfiguration>`;
const refused = (code: string, inner: string): void => assert.throws(() => parse(one(inner)), {code}, inner);

test('rules come back as they were sent', () => {
  assert.deepEqual(parse(lifecycleXml(rules)), rules);
  assert.equal(parse(one('<Prefix/><Status>Enabled</Status><Expiration><Days>1</Days></Expiration>'))[0]?.id, 'new');
});

test('what S3 refuses is refused', () => {
  const end = '<Expiration><Days>1</Days></Expiration>';
  refused('MalformedXML', `<Prefix/><Status>enabled</Status>${end}`);
  refused('MalformedXML', `<Status>Enabled</Status>${end}`);
  refused('MalformedXML', `<Prefix/><Filter/><Status>Enabled</Status>${end}`);
  refused('MalformedXML', '<Prefix/><Status>Enabled</Status><Expiration><Date>20200101</Date></Expiration>');
  refused('MalformedXML', '<Prefix/><Status>Enabled</Status><Expiration><Days>1</Days><Date>2020-01-01</Date></Expiration>');
  refused('MalformedXML', `<Filter><And><Prefix>a</Prefix></And></Filter><Status>Enabled</Status>${end}`);
  refused('InvalidArgument', '<Prefix/><Status>Enabled</Status><Expiration><Days>0</Days></Expiration>');
  refused('InvalidArgument', `<ID>${'a'.repeat(256)}</ID><Prefix/><Status>Enabled</Status>${end}`);
  refused('InvalidRequest', '<Prefix/><Status>Enabled</Status>');
  refused('NotImplemented', '<Prefix/><Status>Enabled</Status><Transition><Days>1</Days><StorageClass>GLACIER</StorageClass></Transition>');
  const twice = `<Rule><ID>a</ID><Prefix/><Status>Enabled</Status>${end}</Rule>`;
  assert.throws(() => parse(`<LifecycleConfiguration>${twice}${twice}</LifecycleConfiguration>`), {code: 'InvalidArgument'});
});
