/** The XML documents that clients send, read by saxes under strict limits: no document types, no entities of their own, little depth. */
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

/** Reads a document as it comes, so that a large one is never parsed in one go. Whatever it throws is MalformedXML. */
export class XmlReader {
  readonly #parser = new SaxesParser();
  readonly #decoder = new TextDecoder('utf-8', {fatal: true, ignoreBOM: true});
  readonly #root: Element = {name: '', attributes: {}, text: '', children: []};
  readonly #open: Element[] = [this.#root];
  #elements = 0;

  constructor() {
    const parser = this.#parser;
    const refuse = () => {
      throw malformed();
    };
    parser.on('error', refuse);
    parser.on('doctype', refuse);
    parser.on('opentag', (tag) => {
      if (this.#open.length > depthMax || ++this.#elements > elementsMax) throw malformed();
      const element: Element = {name: localName(tag.name), attributes: attributesOf(tag.attributes), text: '', children: []};
      this.#open.at(-1)!.children.push(element);
      this.#open.push(element);
    });
    parser.on('closetag', () => {
      this.#open.pop();
    });
    const addText = (text: string) => {
      const element = this.#open.at(-1)!;
      if (element.text.length + text.length > textCharsMax && text.trim() !== '') throw malformed();
      element.text += text;
    };
    parser.on('text', addText);
    parser.on('cdata', addText);
  }

  write(chunk: Uint8Array): void {
    this.#parser.write(this.#decode(chunk));
  }

  /** The root element, whose name must be this. */
  end(rootName: string): Element {
    this.#parser.write(this.#decode(undefined)).close();
    const [first] = this.#root.children;
    if (first?.name !== rootName) throw malformed();
    return first;
  }

  #decode(chunk: Uint8Array | undefined): string {
    try {
      return chunk ? this.#decoder.decode(chunk, {stream: true}) : this.#decoder.decode();
    } catch {
      throw malformed();
    }
  }
}

/** The root element. MalformedXML. */
export function parseXml(xml: Buffer, rootName: string): Element {
  const reader = new XmlReader();
  reader.write(xml);
  return reader.end(rootName);
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
  return partsOf(parseXml(xml, 'CompleteMultipartUpload'));
}

/** Of a document that was read as it came. */
export function partsOf(root: Element): RequestedPart[] {
  const parts = root.children.map((part): RequestedPart => {
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
  readonly size?: string;
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
      return {
        key,
        ...(versionId === undefined ? {} : {versionId}),
        ...(etag === undefined ? {} : {etag}),
        ...(size === undefined ? {} : {size}),
        ...(lastModified === undefined ? {} : {lastModified}),
      };
    });
  if (objects.length === 0 || objects.length > 1000) throw malformed();
  return {quiet: child(root, 'Quiet')?.trim().toLowerCase() === 'true', objects};
}
