import assert from 'node:assert/strict';
import test from 'node:test';
import {inventoryListXml, inventoryXml, parseInventoryXml} from '#codec/s3/inventory-xml.ts';
import {type Inventory, inventoryFields, isDue} from '#model/inventory.ts';

const plain: Inventory = {id: 'list.1', enabled: true, destination: 'reports', versions: 'Current', frequency: 'Daily', fields: []};
const full: Inventory = {...plain, enabled: false, destinationPrefix: 'a/b', accountId: '123456789012', encrypted: true, prefix: 'x<&', versions: 'All', frequency: 'Weekly', fields: inventoryFields};

test('a configuration comes back as it was sent, alone and in lists', () => {
  for (const one of [plain, full]) assert.deepEqual(parseInventoryXml(Buffer.from(inventoryXml(one))), one);
  const list = inventoryListXml([plain, full], 'here', 'there');
  assert.match(list, /<ContinuationToken>here<\/ContinuationToken>.*<Id>list\.1<\/Id>.*<Id>list\.1<\/Id>.*<IsTruncated>true<\/IsTruncated><NextContinuationToken>there/);
});

test('what S3 refuses is refused, and what cannot be carried out', () => {
  const sent = inventoryXml(full);
  const refused = (code: string, from: string | RegExp, to: string): void => {
    assert.notEqual(sent.replace(from, to), sent);
    assert.throws(() => parseInventoryXml(Buffer.from(sent.replace(from, to))), {code}, to);
  };
  refused('InvalidArgument', '<Id>list.1</Id>', '<Id>a b</Id>');
  refused('InvalidArgument', '<Id>list.1</Id>', '');
  refused('InvalidArgument', 'arn:aws:s3:::reports', 'reports');
  refused('InvalidArgument', 'arn:aws:s3:::reports', 'arn:aws:s3:::../x');
  refused('MalformedXML', 'Weekly', 'Monthly');
  refused('MalformedXML', '<Format>CSV</Format>', '');
  refused('MalformedXML', '<IsEnabled>false</IsEnabled>', '<IsEnabled>no</IsEnabled>');
  refused('MalformedXML', '>All<', '>Some<');
  refused('MalformedXML', '<Field>Size</Field>', '<Field>Colour</Field>');
  refused('MalformedXML', /<Destination>.*<\/Destination>/, '');
  refused('NotImplemented', '>CSV<', '>Parquet<');
  refused('NotImplemented', '<SSE-S3/>', '<SSE-KMS><KeyId>k</KeyId></SSE-KMS>');
  refused('NotImplemented', '<Field>Size</Field>', '<Field>ObjectOwner</Field>');
});

test('when a report is due', () => {
  const day = 86_400_000;
  assert.deepEqual([isDue(plain, undefined, 0), isDue(plain, 0, day - 1), isDue(plain, 0, day)], [true, false, true]);
  assert.deepEqual([isDue({...plain, frequency: 'Weekly'}, 0, 6 * day), isDue({...plain, enabled: false}, undefined, 0)], [false, false]);
});
