/** `file:///path`: a directory of this host as an under store. */
import {type ByteString, fromText, toText} from '#base/byte-string.ts';
import {WeirError, isKind} from '#base/errors.ts';
import type {Connector} from '#understore/under-store.ts';
import {LocalStore} from '#connectors/file/local-store.ts';
import {diskPath} from '#connectors/file/names.ts';

export const connector: Connector = {
  schemes: ['file'],
  options: {create: {help: 'true: make the directory when it does not exist'}},

  describe(uri, options) {
    const path = pathOf(uri);
    if (options['create'] !== undefined && !/^(true|false)$/.test(options['create'])) throw new WeirError('InvalidArgument', 'create is true or false');
    const names = toText(path).split('/');
    return {place: `file://${toText(path)}${path === '/' ? '' : '/'}`, defaultName: names.at(-1) || 'root'};
  },

  async open(uri, options, environment) {
    const path = pathOf(uri);
    if (options['create'] === 'true') await environment.disk.makeDirectory(diskPath(path), {recursive: true, permissions: 0o777});
    const root = await realDirectory(path, environment.disk);
    const {inode} = await environment.disk.stat(diskPath(root));
    const store = new LocalStore({path: root, inode}, environment);
    await store.recover(environment.clock);
    return store;
  },
};

/** The absolute path that the URI names, percent-decoded, without `.`, `..`, doubled and trailing slashes. InvalidArgument. */
function pathOf(uri: string): ByteString {
  const match = /^file:(?:\/\/(?:localhost)?)?(\/(?!\/)[^?#]*)$/i.exec(uri);
  if (!match) throw new WeirError('InvalidArgument', `a directory of this host is written file:///path: ${JSON.stringify(uri)}`);
  const decoded = fromText(match[1]!).replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  if (decoded.includes('\0')) throw new WeirError('InvalidArgument', 'a path cannot hold a NUL byte');
  const names: string[] = [];
  for (const name of decoded.split('/')) {
    if (name === '..') names.pop();
    else if (name !== '' && name !== '.') names.push(name);
  }
  return `/${names.join('/')}` as ByteString;
}

async function realDirectory(path: ByteString, disk: Parameters<Connector['open']>[2]['disk']): Promise<ByteString> {
  try {
    const real = await disk.realPath(diskPath(path));
    if ((await disk.stat(diskPath(real))).kind !== 'directory') throw new WeirError('NotADirectory', `${toText(path)} is not a directory`);
    return real;
  } catch (error) {
    if (isKind(error, 'NotFound', 'NotADirectory')) throw new WeirError('NotFound', `there is no directory ${toText(path)} (option create=true makes it)`, {cause: error});
    throw error;
  }
}
