/** The certificate of our own front doors: read from the files that were named, and for the command line, which trusts just that one. */
import {X509Certificate} from 'node:crypto';
import {WeirError} from '#base/errors.ts';
import type {InstanceInfo, UpOptions} from '#cli/environment.ts';
import {readWhole} from '#process/small-files.ts';
import type {Disk} from '#runtime/disk.ts';
import type {HttpServerOptions, HttpTrust} from '#runtime/http.ts';
import type {Runtime} from '#runtime/runtime.ts';

export interface OwnCertificate {
  readonly serve: NonNullable<HttpServerOptions['tls']>;
  readonly info: NonNullable<InstanceInfo['tls']>;
}

/** NotFound, InvalidArgument (no certificate; whether the key belongs to it, the server says). */
export async function ownCertificate({disk, log}: Pick<Runtime, 'disk' | 'log'>, {certFile, keyFile}: NonNullable<UpOptions['tls']>): Promise<OwnCertificate> {
  const cert = await readPem(disk, certFile);
  const key = await readPem(disk, keyFile);
  if (((await disk.stat(keyFile)).mode & 0o004) !== 0) log.warn(`every user of this machine may read the key ${keyFile}; chmod 600 it`);
  let first: X509Certificate;
  try {
    first = new X509Certificate(cert);
  } catch (error) {
    throw new WeirError('InvalidArgument', `${certFile} holds no certificate in PEM form`, {cause: error});
  }
  return {serve: {cert, key}, info: {certFile, selfSigned: first.checkIssued(first)}};
}

/** For requests of our own to our own front doors: whatever names the certificate has, it must be this one. */
export async function ownTrust(disk: Disk, info: InstanceInfo): Promise<{readonly trust?: HttpTrust}> {
  if (!info.tls) return {};
  const [first] = /-----BEGIN CERTIFICATE-----[^]*?-----END CERTIFICATE-----/.exec(await readPem(disk, info.tls.certFile)) ?? [];
  return first === undefined ? {} : {trust: {certificates: first, anyName: true}};
}

async function readPem(disk: Disk, file: string): Promise<string> {
  const text = await readWhole(disk, file);
  if (text === undefined) throw new WeirError('NotFound', `there is no file ${file}`);
  return text;
}
