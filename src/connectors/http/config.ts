/** From a URI and options to what is read and how. */
import {type ByteString, toBytes, toText} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import {caFileHelp} from '#understore/trusting.ts';
import type {Connector} from '#understore/under-store.ts';

export const options: Connector['options'] = {
  user: {help: 'user name for basic authentication'},
  password: {help: 'password for basic authentication', secret: true},
  caFile: {help: caFileHelp},
  files: {help: 'what there is, where the server has no index pages: paths separated by commas, or the URL of a text with one path a line'},
};

export interface HttpConfig {
  /** The directory, with a trailing slash. */
  readonly base: URL;
  readonly authorization: string | undefined;
  readonly files: {readonly url: URL} | {readonly list: readonly string[]} | undefined;
}

/** Throws InvalidArgument. */
export function readConfig(uri: string, given: Readonly<Record<string, string>>): HttpConfig {
  const base = urlOf(uri, 'the URI');
  if (!base.pathname.endsWith('/')) base.pathname += '/';
  if (base.search !== '' || base.hash !== '') throw new WeirError('InvalidArgument', 'a web directory is mounted without query and fragment');
  if (base.username !== '' || base.password !== '') throw new WeirError('InvalidArgument', 'name and password belong in the options user and password');
  const {user, password} = given;
  if ((user === undefined) !== (password === undefined)) throw new WeirError('InvalidArgument', 'user and password belong together');
  if (user?.includes(':')) throw new WeirError('InvalidArgument', 'a user name for basic authentication has no colon');
  const authorization = user === undefined ? undefined : `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
  return {base, authorization, files: filesOf(given['files'])};
}

function filesOf(text: string | undefined): HttpConfig['files'] {
  if (text === undefined) return undefined;
  return /^https?:\/\//i.test(text) ? {url: urlOf(text, 'files')} : {list: text.split(',').map(path => path.trim()).filter(path => path !== '')};
}

function urlOf(text: string, what: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !/^https?:$/.test(url.protocol) || url.hostname === '') throw new WeirError('InvalidArgument', `${what} is a URL such as https://host/directory/, not ${JSON.stringify(text)}`);
  return url;
}

/**
 * The URL of a key. Segments `.` and `..` and empty ones have no URL of their own (clients and servers resolve them), so such
 * keys do not exist here: InvalidPath.
 */
export function urlOfKey(base: URL, key: ByteString): string {
  const names = (key.endsWith('/') ? key.slice(0, -1) : key).split('/');
  if (key !== '' && names.some(name => name === '' || name === '.' || name === '..')) throw new WeirError('InvalidPath', `a web server cannot have ${toText(key)}`);
  let path = '';
  for (const byte of toBytes(key)) path += /[A-Za-z0-9\-._~/]/.test(String.fromCharCode(byte)) ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  return `${base.origin}${base.pathname}${path}`;
}
