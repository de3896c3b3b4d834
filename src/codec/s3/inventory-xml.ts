/** InventoryConfiguration as XML, checked as S3 checks it. Formats other than CSV, and what Weir could not fill in, are refused. */
import {S3Error} from '#codec/s3/s3-error.ts';
import {isBucketName} from '#codec/s3/target.ts';
import {child, type Element, malformed, parseXml} from '#codec/s3/xml-read.ts';
import {element, optionalElement, xmlDocument} from '#codec/s3/xml-write.ts';
import {type Inventory, type InventoryField, inventoryFields, inventoryIdPattern} from '#model/inventory.ts';

const prefixBytesMax = 1024;
/** Fields that S3 knows and Weir has nothing to say of. */
const otherFields = new Set(['ObjectAccessControlList', 'ObjectOwner', 'LifecycleExpirationDate']);

const notImplemented = (what: string, name: string): S3Error => new S3Error('NotImplemented', `${what} is not implemented.`, {Header: name});
const elementOf = (parent: Element, name: string): Element => {
  const found = parent.children.find(candidate => candidate.name === name);
  if (!found) throw malformed();
  return found;
};

/** MalformedXML, InvalidArgument, NotImplemented. */
export function parseInventoryXml(xml: Buffer): Inventory {
  const root = parseXml(xml, 'InventoryConfiguration');
  const id = child(root, 'Id')?.trim() ?? '';
  if (!inventoryIdPattern.test(id)) throw new S3Error('InvalidArgument', 'The specified configuration id is invalid.', {ArgumentName: 'id', ArgumentValue: id.slice(0, 200)});
  const destination = elementOf(elementOf(root, 'Destination'), 'S3BucketDestination');
  const bucket = /^arn:aws:s3:::(.+)$/.exec(child(destination, 'Bucket')?.trim() ?? '')?.[1];
  if (bucket === undefined || !isBucketName(bucket)) throw new S3Error('InvalidArgument', 'Invalid bucket ARN.', {ArgumentName: 'Bucket', ArgumentValue: bucket ?? ''});
  const filter = root.children.find(({name}) => name === 'Filter');
  const [prefix, destinationPrefix] = [filter && child(filter, 'Prefix'), child(destination, 'Prefix')];
  for (const text of [prefix, destinationPrefix]) if (text !== undefined && (Buffer.byteLength(text) > prefixBytesMax || text.includes('\0'))) throw malformed();
  const accountId = child(destination, 'AccountId')?.trim();
  const format = oneOf(child(destination, 'Format'), 'CSV', 'ORC', 'Parquet');
  if (format !== 'CSV') throw notImplemented(`An inventory in the format ${format}`, 'Format');
  return {
    id, enabled: oneOf(child(root, 'IsEnabled'), 'true', 'false') === 'true', destination: bucket, versions: oneOf(child(root, 'IncludedObjectVersions'), 'All', 'Current'),
    frequency: oneOf(child(elementOf(root, 'Schedule'), 'Frequency'), 'Daily', 'Weekly'), fields: fieldsOf(root), ...(prefix === undefined ? {} : {prefix}),
    ...(destinationPrefix === undefined ? {} : {destinationPrefix}), ...(accountId === undefined ? {} : {accountId}), ...(isEncrypted(destination) ? {encrypted: true} : {}),
  };
}

function isEncrypted(destination: Element): boolean {
  const encryption = destination.children.find(({name}) => name === 'Encryption');
  if (!encryption) return false;
  const [kind, ...more] = encryption.children.map(({name}) => name);
  if (more.length > 0 || (kind !== 'SSE-S3' && kind !== 'SSE-KMS')) throw malformed();
  if (kind === 'SSE-KMS') throw notImplemented('Encryption with keys of a key management service', 'SSE-KMS');
  return true;
}

function fieldsOf(root: Element): InventoryField[] {
  const asked = (root.children.find(({name}) => name === 'OptionalFields')?.children ?? []).map(({name, text}) => {
    const field = text.trim();
    if (name !== 'Field') throw malformed();
    if (otherFields.has(field)) throw notImplemented(`The field ${field}`, 'Field');
    return oneOf(field, ...inventoryFields);
  });
  return [...new Set(asked)];
}

function oneOf<Word extends string>(text: string | undefined, ...words: readonly Word[]): Word {
  const found = words.find(word => word === text?.trim());
  if (found === undefined) throw malformed();
  return found;
}

export function inventoryXml(inventory: Inventory): string {
  return xmlDocument('InventoryConfiguration', inner(inventory));
}

/** `next`: from where the next page goes on. */
export function inventoryListXml(inventories: readonly Inventory[], token: string | undefined, next: string | undefined): string {
  const list = inventories.map(inventory => `<InventoryConfiguration>${inner(inventory)}</InventoryConfiguration>`).join('');
  return xmlDocument('ListInventoryConfigurationsResult', optionalElement('ContinuationToken', token) + list + element('IsTruncated', next !== undefined) + optionalElement('NextContinuationToken', next));
}

function inner({id, enabled, destination, destinationPrefix, accountId, encrypted, prefix, versions, frequency, fields}: Inventory): string {
  const to =
    optionalElement('AccountId', accountId) + element('Bucket', `arn:aws:s3:::${destination}`) + element('Format', 'CSV') + optionalElement('Prefix', destinationPrefix) +
    (encrypted ? '<Encryption><SSE-S3/></Encryption>' : '');
  return (
    `<Destination><S3BucketDestination>${to}</S3BucketDestination></Destination>${element('IsEnabled', enabled)}${prefix === undefined ? '' : `<Filter>${element('Prefix', prefix)}</Filter>`}` +
    `${element('Id', id)}${element('IncludedObjectVersions', versions)}${fields.length === 0 ? '' : `<OptionalFields>${fields.map(field => element('Field', field)).join('')}</OptionalFields>`}` +
    `<Schedule>${element('Frequency', frequency)}</Schedule>`
  );
}
