/** Stores on https whose certificate no well-known authority has signed: the file that a mount names says whom to believe. */
import {WeirError} from '#base/errors.ts';
import type {ConnectorEnvironment} from '#understore/under-store.ts';

const fileBytesMax = 4 * 1024 * 1024;

/** The same help wherever a connector has the option. */
export const caFileHelp = 'PEM file of the authorities (or of the certificate) to trust on https, instead of the well-known ones';

/** An HTTP client that believes the certificates in that file of this host. NotFound, PermissionDenied, InvalidArgument. */
export async function trusting({http, disk}: Pick<ConnectorEnvironment, 'http' | 'disk'>, caFile: string): Promise<ConnectorEnvironment['http']> {
  if (!caFile.startsWith('/')) throw new WeirError('InvalidArgument', `the file of trusted certificates is an absolute path, not ${JSON.stringify(caFile)}`);
  await using file = await disk.open(caFile, {mode: 'read'});
  const {size} = await file.stat();
  const bytes = Buffer.alloc(Math.min(size, fileBytesMax));
  const certificates = bytes.toString('latin1', 0, await file.read(bytes, 0));
  if (!certificates.includes('-----BEGIN CERTIFICATE-----')) throw new WeirError('InvalidArgument', `${caFile} holds no certificate in PEM form`);
  const trust = {certificates};
  return {request: (request) => http.request({...request, trust})};
}
