/** The root key: made at the first start, kept in the home, readable by its owner only, never logged. */
import {WeirError} from '#base/errors.ts';
import type {RootKey} from '#cli/environment.ts';
import {type Principal, rootPrincipal} from '#contracts/context.ts';
import type {Home} from '#process/home.ts';
import {readWhole, writeWhole} from '#process/small-files.ts';
import type {Runtime} from '#runtime/runtime.ts';

/** Undefined before the first start. Corrupt. */
export async function readRootKey({disk}: Pick<Runtime, 'disk'>, home: Home): Promise<RootKey | undefined> {
  const text = await readWhole(disk, home.keys);
  if (text === undefined) return undefined;
  try {
    const {accessKeyId, secretAccessKey} = JSON.parse(text) as Partial<RootKey>;
    if (typeof accessKeyId === 'string' && accessKeyId !== '' && typeof secretAccessKey === 'string' && secretAccessKey !== '') return {accessKeyId, secretAccessKey};
  } catch {
    // said below, without what the file holds
  }
  throw new WeirError('Corrupt', `${home.keys} does not hold a key; remove it and a new one is made at the next start`);
}

/** The key of this home, made when there is none. Only under the home's lock. */
export async function rootKey(runtime: Pick<Runtime, 'disk' | 'random'>, home: Home): Promise<RootKey> {
  const known = await readRootKey(runtime, home);
  if (known) return known;
  const key = {accessKeyId: `WEIR${base32(runtime.random.bytes(16))}`, secretAccessKey: Buffer.from(runtime.random.bytes(30)).toString('base64url')};
  await writeWhole(runtime.disk, home.keys, `${JSON.stringify(key)}\n`);
  return key;
}

export function lookupOf(key: RootKey): (accessKeyId: string) => {readonly secret: string; readonly principal: Principal} | undefined {
  const root = {secret: key.secretAccessKey, principal: rootPrincipal};
  return (accessKeyId) => (accessKeyId === key.accessKeyId ? root : undefined);
}

/** One letter a byte: 5 of its bits, in the alphabet of access keys. */
function base32(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'[byte & 31]).join('');
}
