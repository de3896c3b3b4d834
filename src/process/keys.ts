/** The root key: made at the first start, kept in the home, readable by its owner only, never logged. */
import {WeirError} from '#base/errors.ts';
import type {RootKey} from '#cli/environment.ts';
import {CompiledPolicy, together} from '#codec/s3/policy/evaluate.ts';
import {parseIdentityPolicy} from '#codec/s3/policy/document.ts';
import type {Principal} from '#contracts/context.ts';
import type {IdentityDirectory} from '#contracts/identity-api.ts';
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

/** The action that lets a user in by REST and the command line, where everything can be done. A policy that allows every action allows it. */
const administer = 'weir:administer';

/** The doors of administrators: the root key, and permanent keys of users whose policies allow `weir:Administer`. */
export function administrators(directory: IdentityDirectory, clock: Pick<Runtime['clock'], 'nowMs'>): (accessKeyId: string) => {readonly secret: string; readonly principal: Principal} | undefined {
  return (accessKeyId) => {
    const known = directory.find(accessKeyId);
    if (!known || (known.expiresAt !== undefined && known.expiresAt <= clock.nowMs())) return undefined;
    const {secret, caller} = known;
    if (caller.kind === 'root') return {secret, principal: caller.principal};
    const question = {action: administer, resource: '', asker: {arn: caller.arn, userName: caller.principal.name}, facts: {values: () => undefined}};
    const verdict = together(caller.policies.map(({text}) => new CompiledPolicy(parseIdentityPolicy(text)).evaluate(question)));
    return verdict === 'allow' ? {secret, principal: {...caller.principal, authorized: true}} : undefined;
  };
}

/** One letter a byte: 5 of its bits, in the alphabet of access keys. */
function base32(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'[byte & 31]).join('');
}
