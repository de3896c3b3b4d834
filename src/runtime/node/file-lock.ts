/**
 * An exclusive lock that dies with its process, however that ends: flock(2) where it can be called, else the name of an abstract Unix
 * socket (Linux frees both with the last descriptor).
 */
import {createHash} from 'node:crypto';
import {open, realpath} from 'node:fs/promises';
import {createServer} from 'node:net';
import {WeirError} from '#base/errors.ts';
import {libc} from '#runtime/node/native/libc.ts';

const EWOULDBLOCK = 11;

export async function lockFile(path: string): Promise<AsyncDisposable> {
  const handle = await open(path, 'a+', 0o600);
  const taken = libc()?.lockExclusive(handle.fd);
  if (taken === 0) return {[Symbol.asyncDispose]: () => handle.close()};
  const real = await realpath(path);
  await handle.close();
  const busy = new WeirError('AlreadyRunning', `another process holds ${real}`);
  if (taken === -EWOULDBLOCK) throw busy;
  return lockName(`weir-${createHash('sha256').update(real).digest('hex')}`, busy);
}

async function lockName(name: string, busy: WeirError): Promise<AsyncDisposable> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(error.code === 'EADDRINUSE' ? busy : error));
    server.listen(`\0${name}`, resolve);
  });
  server.unref();
  return {[Symbol.asyncDispose]: () => new Promise((resolve) => server.close(() => resolve()))};
}
