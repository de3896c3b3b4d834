/** Documents that configure a bucket: whatever one was read as must be read the same from our own writing of it. */
import {inventoryXml, parseInventoryXml} from '#codec/s3/inventory-xml.ts';
import {notificationXml, parseNotificationXml} from '#codec/s3/notification-xml.ts';
import {parseWebsiteXml, websiteXml} from '#codec/s3/website-xml.ts';
import {routed} from '#model/website.ts';
import {mustEqual, outcome} from './fuzz.ts';

const arn = 'arn:weir:sqs::w:webhook';
export const configurationSeeds: readonly string[] = [
  notificationXml([
    {id: 'i', form: 'Topic', arn, events: ['s3:ObjectCreated:*'], filter: [{name: 'Prefix', value: 'a'}, {name: 'suffix', value: '.b'}]},
    {id: 'j', form: 'Queue', arn, events: ['s3:ObjectRemoved:Delete', 's3:ObjectAcl:Put'], filter: []}, {id: 'k', form: 'CloudFunction', arn, events: ['s3:ObjectCreated:Put'], filter: [{name: 'prefix', value: 'x'}]},
  ]),
  inventoryXml({
    id: 'i', enabled: true, destination: 'dest', destinationPrefix: 'p', accountId: '1', encrypted: true, prefix: 'x', versions: 'All', frequency: 'Weekly', fields: ['Size', 'ETag', 'ChecksumAlgorithm'],
  }),
  websiteXml({redirectAll: {hostName: 'h:80', protocol: 'https'}}),
  websiteXml({index: 'i', error: 'e', rules: [{keyPrefix: 'docs/', errorStatus: 404, redirect: {protocol: 'http', hostName: 'h', replacePrefix: 'new/', status: 302}}, {redirect: {replaceKey: 'k'}}]}),
];

export function configurations(input: Buffer): void {
  const website = outcome(() => parseWebsiteXml(input));
  if (website !== 'refused') {
    mustEqual(parseWebsiteXml(Buffer.from(websiteXml(website.value))), website.value, 'a website comes back changed');
    if ('rules' in website.value) for (const status of [undefined, 404]) routed(website.value.rules, 'docs/a', status);
  }
  const inventory = outcome(() => parseInventoryXml(input));
  if (inventory !== 'refused') mustEqual(parseInventoryXml(Buffer.from(inventoryXml(inventory.value))), inventory.value, 'an inventory comes back changed');
  const notification = outcome(() => parseNotificationXml(input, () => 'new'));
  if (notification !== 'refused') mustEqual(parseNotificationXml(Buffer.from(notificationXml(notification.value)), () => 'new'), notification.value, 'notification rules come back changed');
}
