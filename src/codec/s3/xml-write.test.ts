import assert from 'node:assert/strict';
import {test} from 'node:test';
import fc from 'fast-check';
import {SaxesParser} from 'saxes';
import {element, escapeXml, optionalElement, xmlDocument, XmlWriter} from '#codec/s3/xml-write.ts';

/** The text of the document, as a strict parser reads it. */
function textOf(xml: string): string {
  let text = '';
  const parser = new SaxesParser({xmlns: true});
  parser.on('error', (error) => { throw error; });
  parser.on('opentag', () => { text = ''; });
  parser.on('text', (piece) => { text += piece; });
  parser.write(xml).close();
  return text;
}

test('text comes back from a strict parser as it was, where XML 1.0 can hold it', () => {
  const legal = fc.string({unit: 'binary', maxLength: 60}).filter((text) => !/[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/.test(text));
  fc.assert(fc.property(legal, (text) => assert.equal(textOf(xmlDocument('Key', escapeXml(text))), text)), {numRuns: 1000});
  assert.equal(textOf(xmlDocument('Key', escapeXml('a\r\nb\tc]]>'))), 'a\r\nb\tc]]>');
});

test('what XML 1.0 cannot hold becomes a numeric reference', () => {
  assert.equal(escapeXml('\0a\x01\x1f\uffff'), '&#x0;a&#x1;&#x1f;&#xffff;');
  assert.equal(escapeXml('<"a" & b>'), '&lt;&quot;a&quot; &amp; b&gt;');
});

test('elements and documents', () => {
  assert.equal(element('Key', 'a&b'), '<Key>a&amp;b</Key>');
  assert.equal(element('Size', 5) + element('IsTruncated', false), '<Size>5</Size><IsTruncated>false</IsTruncated>');
  assert.equal(optionalElement('Marker', undefined) + optionalElement('Marker', ''), '<Marker></Marker>');
  assert.equal(xmlDocument('A', element('B', 'c')), '<?xml version="1.0" encoding="UTF-8"?>\n<A xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><B>c</B></A>');
  assert.equal(xmlDocument('Error', ''), '<?xml version="1.0" encoding="UTF-8"?>\n<Error></Error>');
});

test('a document written part by part is the same, whatever was expected of its length', () => {
  const parts = fc.array(fc.string({unit: 'grapheme', maxLength: 40}), {maxLength: 30});
  fc.assert(fc.property(parts, fc.nat(500), (texts, expectedBytes) => {
    const writer = new XmlWriter('List', expectedBytes);
    for (const text of texts) writer.add(element('Key', text));
    assert.equal(Buffer.from(writer.end()).toString(), xmlDocument('List', texts.map((text) => element('Key', text)).join('')));
  }));
});
