import type {Exception} from './client.ts';

/** Keys that break clients and servers which decode, normalise or escape once too often. All are legal in S3 and lie in one bucket together. */
export const names: Readonly<Record<string, string>> = {
  plain: 'plain.txt',
  'file and folder: file': 'both',
  'file and folder: marker': 'both/',
  'file and folder: below': 'both/below',
  'before the slash': 'both+more/file',
  '// inside': 'double//slash',
  'many slashes': 'many////slashes',
  '/ leading': '/leading',
  '// leading': '//two leading',
  '/ trailing': 'trailing/',
  '// trailing': 'trailing two//',
  'part .': 'dot/./part',
  'part ..': 'dots/../part',
  'ends in .': 'ends/in/.',
  'ends in ..': 'ends/in/..',
  'three dots': 'three/.../dots',
  'hidden': '.hidden/.file',
  '%2F': 'percent%2Fencoded',
  '%': '100%',
  'bad escape': 'percent%zz%',
  'escaped escape': '%252F%25',
  '+': 'plus+and+plus',
  'space': 'space here/and  two',
  'spaces at the ends': ' space first, last ',
  '&': 'amp&and=equals;semi',
  'entity': '&amp;&#65;&lt;',
  'quotes': 'quotes\'"`',
  'angles': '<tag attribute="x">]]></tag>',
  '#?': 'hash#question?versionId=x',
  'back slash': 'back\\slash',
  'globs': 'globs*?[a-z]{x,y}',
  'signs': 'signs!~^|@$:,;=()',
  'umlaut, kanji': 'ümläut/日本語.bin',
  'emoji': '🦆 duck/👩‍👩‍👧',
  'composed': 'caf\u00e9',
  'decomposed': 'cafe\u0301',
  'tab and line feed': 'tab\tand\nline feed',
  'carriage return': 'carriage\rreturn\r\n',
  'control characters': 'control\u0001\u001f\u007f\u0080',
  'noncharacter': 'noncharacter\ufffe\uffff',
  'separators': 'separators\u2028\u2029\u0085',
  'byte order mark': '\ufeffmark',
  '1024 bytes': 'x'.repeat(1024),
  '1024 bytes, deep': `${'d/'.repeat(511)}dd`,
  '1024 bytes of kanji': `${'語'.repeat(341)}x`,
};

/** Kinds of names that one rule of a client leaves out together. */
export const markers = ['file and folder: marker', '/ trailing', '// trailing'];
export const emptyParts = ['// inside', 'many slashes', '/ leading', '// leading'];
export const dotParts = ['part .', 'part ..', 'ends in .', 'ends in ..'];
/** What XML 1.0 cannot hold, not even escaped. */
export const outsideXml = ['control characters', 'noncharacter'];

export const notDeletedTogether: Exception = {names: outsideXml, doing: ['removeMany'], why: 'XML 1.0, in which DeleteObjects names its keys, cannot hold them'};
