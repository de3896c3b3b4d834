/** The XML of S3 answers: small documents of elements and text. Anything else (attributes but namespaces, entities of a DTD) has no meaning here. */
import {SaxesParser} from 'saxes';
import {WeirError} from '#base/errors.ts';

export interface XmlElement {
  readonly name: string;
  readonly children: readonly XmlElement[];
  /** All text directly within. */
  readonly text: string;
}

const depthMax = 20;

/** The root element. Unavailable when the text is no XML: a proxy's page or a broken answer, worth another try. */
export function parseXml(source: string): XmlElement {
  interface Open {
    name: string;
    children: XmlElement[];
    text: string;
  }
  const parser = new SaxesParser();
  const stack: Open[] = [{name: '', children: [], text: ''}];
  let problem: string | undefined;
  parser.on('error', error => (problem ??= error.message));
  parser.on('doctype', () => (problem ??= 'a document type'));
  parser.on('opentag', tag => {
    if (stack.length > depthMax) problem ??= 'too deep';
    else stack.push({name: tag.name, children: [], text: ''});
  });
  parser.on('closetag', () => {
    const done = stack.length > 1 ? stack.pop() : undefined;
    if (done) stack.at(-1)!.children.push(done);
  });
  const text = (piece: string): void => void (stack.at(-1)!.text += piece);
  parser.on('text', text);
  parser.on('cdata', text);
  parser.write(source).close();
  const root = stack[0]!.children[0];
  if (problem !== undefined || !root) throw new WeirError('Unavailable', `the store answered with something that is no XML (${problem ?? 'empty'})`);
  return root;
}

/** The text of the first child of that name. */
export function childText(element: XmlElement, name: string): string | undefined {
  return element.children.find(child => child.name === name)?.text;
}

export function escapeXml(text: string): string {
  return text.replace(/[&<>"'\r\n\t]/g, c => `&#${c.charCodeAt(0)};`);
}
