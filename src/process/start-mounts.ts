/**
 * The URIs of `weir up`: mounted when they are absent, left alone when they are there as asked, changed when their options differ.
 *
 * What the environment says about where a bucket is (endpoint, region) becomes an option of the mount, so that a later start without those
 * variables finds the same bucket. Credentials stay in the environment.
 */
import {fromText, toText} from '#base/byte-string.ts';
import {isKind, WeirError} from '#base/errors.ts';
import type {UpOptions} from '#cli/environment.ts';
import type {FileSystem} from '#client/file-system.ts';
import type {MountRequest} from '#contracts/administration.ts';
import type {CallContext} from '#contracts/context.ts';
import {type Freshness, maskOptions, type Mount, parseFreshness, parseWriteType, type WriteType} from '#model/mount.ts';
import {namedEndpoint} from '#process/own-endpoint.ts';
import type {Log} from '#runtime/log.ts';
import type {StoreRegistry} from '#understore/store-provider.ts';

type Variables = Readonly<Record<string, string | undefined>>;

/** How the home is written, and every mount of the command line that has no write type of its own. */
export async function setWriteType(files: FileSystem, writeType: WriteType, context: CallContext): Promise<void> {
  const root = (await files.listMounts(context)).find(mount => mount.path === '/');
  if (root && root.writeType !== writeType) await files.updateMount(root.path, {writeType}, context);
}

export async function mountAll(files: FileSystem, registry: StoreRegistry, uris: UpOptions['uris'], variables: Variables, log: Log, context: CallContext): Promise<void> {
  for (const {uri, path, options} of uris) {
    const request = await mountRequest(registry, uri, path, options, variables);
    const there = (await files.listMounts(context)).find((mount) => mount.path === request.path);
    if (!there) await files.mount(request, context);
    else if (there.uri !== uri) throw new WeirError('AlreadyExists', `${there.uri} is mounted at ${toText(there.path)}, where ${uri} was to be; give it another place (URI=/PATH) or unmount the other`);
    else if (differs(there, request)) await update(files, request, log, context);
  }
}

/** A store that does not answer now must not keep the rest, and what is cached of it, from being served. */
async function update(files: FileSystem, request: MountRequest, log: Log, context: CallContext): Promise<void> {
  try {
    await files.updateMount(request.path, request, context);
  } catch (error) {
    if (!isKind(error, 'Unavailable', 'Timeout')) throw error;
    log.warn(`the mount at ${toText(request.path)} keeps the options it had`, {error});
  }
}

async function mountRequest(registry: StoreRegistry, uri: string, path: string | undefined, given: Readonly<Record<string, string>>, variables: Variables): Promise<MountRequest> {
  const {maxAge, readOnly, writeType, ...own} = given;
  if (readOnly !== undefined && readOnly !== 'true' && readOnly !== 'false') throw new WeirError('InvalidArgument', `readOnly is true or false, not ${JSON.stringify(readOnly)}`);
  const options = /^s3a?:/i.test(uri) ? placed(own, variables) : own;
  const {defaultName} = await registry.describe(uri, options);
  const directory = fromText((path ?? `/${defaultName}`).replace(/\/*$/, '/'));
  return {
    path: directory,
    uri,
    options,
    ...(maxAge === undefined ? {} : {freshness: parseFreshness(maxAge)}),
    ...(writeType === undefined ? {} : {writeType: parseWriteType(writeType)}),
    ...(readOnly === undefined ? {} : {readOnly: readOnly === 'true'}),
  };
}

function placed(options: Readonly<Record<string, string>>, variables: Variables): Record<string, string> {
  const endpoint = namedEndpoint(options, variables);
  const region = options['region'] ?? variables['AWS_REGION'] ?? variables['AWS_DEFAULT_REGION'];
  return {...options, ...(endpoint ? {endpoint} : {}), ...(region ? {region} : {})};
}

/** Secrets are shown masked, so a mount that is given one is always changed. */
function differs(there: Mount, request: MountRequest): boolean {
  const shown = maskOptions(request.options);
  if (Object.entries(request.options).some(([name, value]) => shown[name] !== value)) return true;
  if (!sameRecord(shown, there.options)) return true;
  if (request.writeType !== undefined && request.writeType !== there.writeType) return true;
  return (request.readOnly !== undefined && request.readOnly !== there.readOnly) || (request.freshness !== undefined && !sameFreshness(request.freshness, there.freshness));
}

function sameRecord(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => a[name] === b[name]);
}

function sameFreshness(a: Freshness, b: Freshness): boolean {
  return a.kind === b.kind && (a.kind !== 'maxAge' || b.kind !== 'maxAge' || a.ms === b.ms);
}
