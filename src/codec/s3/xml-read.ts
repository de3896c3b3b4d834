/** The XML documents that clients send, read by saxes under strict limits: no document types, no entities of their own, little depth. */
import {isUtf8} from 'node:buffer';
import {SaxesParser} from 'saxes';
import {S3Error} from '#codec/s3/s3-error.ts';
import {checksumAlgorithms, type Checksums} from '#model/content.ts';

const depthMax = 8;
const elementsMax = 80_000;
const textCharsMax = 4 * 1024;

export interface Element {
  readonly name: string;
  /** Attributes without their prefixes. */
  readonly attributes: Readonly<Record<string, string>>;
  text: string;
  readonly children: Element[];
}

export const malformed = (what = 'The XML you provided was not well-formed or did not validate against our published schema.') => new S3Error('MalformedXML', what);

const noAttributes = Object.freeze({});
const localName = (name: string): string => name.slice(name.indexOf(':') + 1);

function attributesOf(attributes: Readonly<Record<string, string>>): Element['attributes'] {
  const entries = Object.entries(attributes);
  return entries.length === 0 ? noAttributes : Object.fromEntries(entries.map(([name, value]) => [localName(name), value]));
}

/** The root element. MalformedXML. */
export function parseXml(xml: Buffer, rootName: string): Element {
  const root: Element = {name: '', attributes: {}, text: '', children: []};
  const open: Element[] = [root];
  let elements = 0;
  const parser = new SaxesParser();
  parser.on('error', () => {
    throw malformed();
  });
  parser.on('doctype', () => {
    throw malformed();
  });
  parser.on('opentag', (tag) => {
    if (open.length > depthMax || ++elements > elementsMax) throw malformed();
    const element: Element = {name: localName(tag.name), attributes: attributesOf(tag.attributes), text: '', children: []};
    open.at(-1)!.children.push(element);
    open.push(element);
  });
  parser.on('closetag', () => {
    open.pop();
  });
  const addText = (text: string) => {
    const element = open.at(-1)!;
    if (element.text.length + text.length > textCharsMax && text.trim() !== '') throw malformed();
    element.text += text;
  };
  parser.on('text', addText);
  parser.on('cdata', addText);
  if (!isUtf8(xml)) throw malformed();
  parser.write(xml.toString('utf8')).close();
  const [first] = root.children;
  if (first?.name !== rootName) throw malformed();
  return first;
}

export const child = (element: Element, name: string): string | undefined => element.children.find((candidate) => candidate.name === name)?.text;

const checksumNames = new Map(checksumAlgorithms.map((name) => [`Checksum${name.toUpperCase()}`, name]));

export interface RequestedPart {
  readonly partNumber: number;
  readonly etag: string;
  readonly checksums: Checksums;
}

/** One to 10 000 parts, in the order sent. */
export function parseCompleteMultipartUpload(xml: Buffer): RequestedPart[] {
  const parts = parseXml(xml, 'CompleteMultipartUpload').children.map((part): RequestedPart => {
    const number = child(part, 'PartNumber')?.trim() ?? '';
    const etag = child(part, 'ETag')?.trim().replace(/^"|"$/g, '');
    if (part.name !== 'Part' || !/^-?\d{1,9}$/.test(number) || !etag) throw malformed();
    if (Number(number) < 1) throw new S3Error('InvalidArgument', 'PartNumber must be >= 1', {ArgumentName: 'PartNumber', ArgumentValue: number});
    const checksums = Object.fromEntries(part.children.flatMap(({name, text}) => {
      const algorithm = checksumNames.get(name);
      return algorithm ? [[algorithm, text.trim()]] : [];
    }));
    return {partNumber: Number(number), etag, checksums};
  });
  if (parts.length === 0 || parts.length > 10_000) throw malformed();
  return parts;
}

export interface RequestedDelete {
  readonly key: string;
  readonly versionId?: string;
  readonly etag?: string;
  readonly size?: number;
  readonly lastModified?: string;
}

/** One to 1000 objects. */
export function parseDelete(xml: Buffer): {readonly quiet: boolean; readonly objects: readonly RequestedDelete[]} {
  const root = parseXml(xml, 'Delete');
  const objects = root.children
    .filter(({name}) => name === 'Object')
    .map((object): RequestedDelete => {
      const key = child(object, 'Key');
      if (key === undefined || key === '') throw malformed();
      const [versionId, etag, size, lastModified] = ['VersionId', 'ETag', 'Size', 'LastModifiedTime'].map((name) => child(object, name)?.trim());
      if (size !== undefined && !/^\d{1,15}$/.test(size)) throw malformed();
      return {
        key,
        ...(versionId === undefined ? {} : {versionId}),
        ...(etag === undefined ? {} : {etag}),
        ...(size === undefined ? {} : {size: Number(size)}),
        ...(lastModified === undefined ? {} : {lastModified}),
      };
    });
  if (objects.length === 0 || objects.length > 1000) throw malformed();
  return {quiet: child(root, 'Quiet')?.trim().toLowerCase() === 'true', objects};
}
