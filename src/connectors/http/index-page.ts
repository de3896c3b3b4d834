/**
 * The links of a directory index page (nginx, Apache, Python, lighttpd, Caddy …), as names in that directory. A page is text that
 * anybody could have written, so only links that stay directly within the directory count: one segment, perhaps with a
 * trailing slash. Parents, other hosts, sorting links and deeper paths are not names.
 */
import type {ByteString} from '#base/byte-string.ts';
import {fromText} from '#base/byte-string.ts';

/** Names of more than this are not looked at. */
const linkCharsMax = 4096;

/** `page`: HTML, latin-1 bytes; `url`: where it was found. Names are unescaped; directories end in `/`; in byte order, each once. */
export function namesInIndex(page: ByteString, url: URL): ByteString[] {
  const names = new Set<ByteString>();
  for (const tag of page.matchAll(/<a\s[^<>]*?href\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))/gi)) {
    const href = unescapeHtml(tag[1] ?? tag[2] ?? tag[3] ?? '');
    const name = href.length > linkCharsMax ? undefined : nameOf(href, url);
    if (name !== undefined) names.add(name);
  }
  return [...names].sort();
}

function nameOf(href: string, directory: URL): ByteString | undefined {
  if (/[?#]/.test(href) || /[\0-\x1f]/.test(href)) return undefined;
  let path = href;
  if (/^https?:\/\//i.test(href) || href.startsWith('//')) {
    const absolute = href.startsWith('//') ? `${directory.protocol}${href}` : href;
    if (!absolute.toLowerCase().startsWith(`${directory.origin}/`)) return undefined;
    path = absolute.slice(directory.origin.length);
  } else if (/^[a-z][a-z0-9+.-]*:/i.test(href)) {
    return undefined;
  }
  if (path.startsWith('/')) {
    if (!path.startsWith(directory.pathname)) return undefined;
    path = path.slice(directory.pathname.length);
  }
  path = path.replace(/^(\.\/)+/, '');
  const match = /^([^/]+)(\/?)$/.exec(path);
  if (!match) return undefined;
  const name = percentDecode(match[1]!);
  if (name === '.' || name === '..' || name === '' || name.includes('/') || name.includes('\0')) return undefined;
  return (name + match[2]!) as ByteString;
}

export function percentDecode(text: string): ByteString {
  return text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))) as ByteString;
}

const entities: Readonly<Record<string, string>> = {amp: '&', lt: '<', gt: '>', quot: '"', apos: "'"};

function unescapeHtml(text: string): string {
  return text.replace(/&(?:#(\d{1,7})|#x([0-9a-f]{1,6})|([a-z]+));/gi, (all, decimal?: string, hex?: string, name?: string) => {
    if (name !== undefined) return entities[name.toLowerCase()] ?? all;
    const code = decimal === undefined ? Number.parseInt(hex!, 16) : Number(decimal);
    return code <= 0x10ffff ? fromText(String.fromCodePoint(code)) : all;
  });
}
