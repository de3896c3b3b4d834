/** RestoreRequest as XML ("RestoreObject", S3 API reference): for how many days an archived object is wanted. */
import {S3Error} from '#codec/s3/s3-error.ts';
import {child, malformed, parseXml} from '#codec/s3/xml-read.ts';

const daysMax = 2 ** 31 - 1;

/** Days. MalformedXML, InvalidArgument; NotImplemented for queries instead of objects. */
export function parseRestore(xml: Buffer): number {
  const root = parseXml(xml, 'RestoreRequest');
  const asks = root.children.find(({name}) => name === 'SelectParameters' || name === 'OutputLocation' || name === 'Type');
  if (asks) throw new S3Error('NotImplemented', 'Select requests on archived objects are not implemented.', {Header: asks.name});
  const days = child(root, 'Days')?.trim() ?? '';
  if (!/^-?\d{1,10}$/.test(days)) throw malformed();
  if (Number(days) < 1 || Number(days) > daysMax) throw new S3Error('InvalidArgument', 'restoration days should be at least 1', {ArgumentName: 'Days', ArgumentValue: days});
  return Number(days);
}
