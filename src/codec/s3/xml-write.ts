/**
 * The XML of answers, made of strings: documents are small and of a fixed shape, and a listing of a thousand keys must cost less
 * than a millisecond.
 */

const namespace = 'http://s3.amazonaws.com/doc/2006-03-01/';

/** A carriage return would be read back as a line feed; the others have no place in XML 1.0 but as references, if at all. */
const special = /[&<>"\0-\x08\x0b-\x1f\x7f-\x9f\ufffe\uffff]/;
const specials = new RegExp(special, 'g');

/**
 * Text for between tags or in double quotes. Characters that XML 1.0 has no place for become numeric references, as Amazon
 * writes them: lenient parsers read them, strict clients ask for encoding-type=url.
 */
export function escapeXml(text: string): string {
  return special.test(text) ? text.replace(specials, reference) : text;
}

function reference(character: string): string {
  switch (character) {
    case '&': return '&amp;';
    case '<': return '&lt;';
    case '>': return '&gt;';
    case '"': return '&quot;';
    default: return `&#x${character.charCodeAt(0).toString(16)};`;
  }
}

/** `text` is escaped. */
export function element(name: string, text: string | number | boolean): string {
  return `<${name}>${typeof text === 'string' ? escapeXml(text) : text}</${name}>`;
}

/** Nothing at all when `text` is undefined. */
export function optionalElement(name: string, text: string | number | boolean | undefined): string {
  return text === undefined ? '' : element(name, text);
}

/** `inner` is XML, made with `element`. Every root but Error is in S3's namespace. */
export function xmlDocument(root: string, inner: string): string {
  return `${beginning(root)}${inner}</${root}>`;
}

function beginning(root: string): string {
  const scope = root === 'Error' ? '' : ` xmlns="${namespace}"`;
  return `<?xml version="1.0" encoding="UTF-8"?>\n<${root}${scope}>`;
}

/** Of UTF-16 to UTF-8. */
const bytesACharacterMax = 3;

/**
 * A long document, turned into bytes part by part: thousands of strings that wait for each other until the end would all be moved by the
 * collector, and then be put together once more.
 */
export class XmlWriter {
  readonly #root: string;
  #bytes: Buffer;
  #length = 0;

  /** `expectedBytes`: more takes a copy, less only memory for a moment. */
  constructor(root: string, expectedBytes: number) {
    this.#root = root;
    this.#bytes = Buffer.allocUnsafeSlow(expectedBytes);
    this.add(beginning(root));
  }

  /** `xml` is made with `element`. */
  add(xml: string): void {
    const needed = this.#length + xml.length * bytesACharacterMax;
    if (needed > this.#bytes.length) {
      const larger = Buffer.allocUnsafeSlow(2 * needed);
      this.#bytes.copy(larger, 0, 0, this.#length);
      this.#bytes = larger;
    }
    this.#length += this.#bytes.write(xml, this.#length);
  }

  /** The whole document, in UTF-8. Nothing is added after that. */
  end(): Uint8Array {
    this.add(`</${this.#root}>`);
    return this.#bytes.subarray(0, this.#length);
  }
}
