/** Whether a client has said a key in what it sent: how an exception of a client is told from a fault of the server. */
import type {Doing} from './client.ts';
import type {RecordedRequest} from './recorder.ts';

/** The request does to this very key what was asked for. */
export function says(request: RecordedRequest, doing: Exclude<Doing, 'list' | 'presignGet' | 'presignPut'>, bucket: string, key: string): boolean {
  const [method = '', target = ''] = request.head.split(' ');
  const [where = '', query = ''] = target.split('?');
  const named = decoded(where) === `/${bucket}/${key}`;
  switch (doing) {
    // An upload that is begun and never completed makes no object.
    case 'put': return named && (method === 'PUT' || (method === 'POST' && /(^|&)uploadId=/i.test(query)));
    case 'get': return named && method === 'GET';
    case 'copy': return method === 'PUT' && (decoded(/^x-amz-copy-source: *(.*)\r$/im.exec(request.head)?.[1] ?? '') ?? '').replace(/^\//, '') === `${bucket}/${key}`;
    case 'remove':
    case 'removeMany': return (named && method === 'DELETE') || (method === 'POST' && xmlTexts(request.body.toString(), 'Key').includes(key));
  }
}

/** A URL's path, decoded, says the key. */
export function urlSays(url: string, bucket: string, key: string): boolean {
  return decoded(/^http:\/\/[^/]+([^?]*)/.exec(url)?.[1] ?? '') === `/${bucket}/${key}`;
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

/** The texts of an element as any parser of XML 1.0 reads them; one that holds what XML cannot hold is none. */
function xmlTexts(document: string, name: string): string[] {
  return [...document.matchAll(new RegExp(`<${name}>([^<]*)</${name}>`, 'g'))]
    .map(([, text]) => text!.replaceAll(/\r\n?/g, '\n').replaceAll(/&(?:#(\d+)|#x([0-9a-f]+)|(\w+));/gi, (_, decimal?: string, hex?: string, entity?: string) =>
      decimal !== undefined ? String.fromCodePoint(Number(decimal)) : hex !== undefined ? String.fromCodePoint(Number.parseInt(hex, 16)) : ({lt: '<', gt: '>', amp: '&', quot: '"', apos: "'"}[entity!] ?? '')))
    .filter(text => !/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/.test(text));
}
