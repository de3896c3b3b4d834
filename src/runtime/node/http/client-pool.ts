/** Kept connections, by server: the one used last is used first, so that those too many grow old and close. */
import {WeirError} from '#base/errors.ts';
import type {HttpTrust} from '#runtime/http.ts';
import {ClientConnection, type Origin} from '#runtime/node/http/client-connection.ts';

const connectionsPerHostMax = 256;
const idleConnectionsPerHostMax = 64;
/** Shorter than what servers commonly keep an idle connection, so that we rarely write into one that they just closed. */
const idleMs = 4_000;

interface Host {
  readonly origin: Origin;
  readonly idle: ClientConnection[];
  readonly open: Set<ClientConnection>;
  readonly waiting: Set<() => void>;
}

type Hosts = Map<string, Host>;
const usual: Hosts = new Map();
/** Of those who trust other certificates. */
const trusting = new WeakMap<HttpTrust, Hosts>();

function hostsFor(trust: HttpTrust | undefined): Hosts {
  if (!trust) return usual;
  let own = trusting.get(trust);
  if (!own) trusting.set(trust, (own = new Map()));
  return own;
}

/** A connection that nobody else uses; it comes back by itself when its answer has come. Waits when there are as many as may be. Throws Cancelled. */
export async function connectionTo({secure, host, port, trust}: Origin, what: string, signal: AbortSignal | undefined): Promise<ClientConnection> {
  const key = `${secure ? 'https' : 'http'}://${host}:${port}`;
  const hosts = hostsFor(trust);
  let pool = hosts.get(key);
  if (!pool) hosts.set(key, (pool = {origin: {secure, host, port, trust}, idle: [], open: new Set(), waiting: new Set()}));
  for (;;) {
    if (signal?.aborted) {
      // Perhaps it was this one's turn.
      wakeNext(pool);
      throw new WeirError('Cancelled', `${what}: given up`, {cause: signal.reason});
    }
    for (let kept = pool.idle.pop(); kept; kept = pool.idle.pop()) if (kept.usable) return kept;
    if (pool.open.size < connectionsPerHostMax) return open(pool, () => hosts.delete(key));
    await turn(pool, signal);
  }
}

function open(pool: Host, forget: () => void): ClientConnection {
  const connection = new ClientConnection(pool.origin, (back, reusable) => {
    if (reusable && pool.waiting.size === 0 && pool.idle.length >= idleConnectionsPerHostMax) back.close();
    else if (reusable) {
      back.idle(idleMs);
      pool.idle.push(back);
    } else {
      pool.open.delete(back);
      const at = pool.idle.indexOf(back);
      if (at >= 0) pool.idle.splice(at, 1);
      if (pool.open.size === 0 && pool.waiting.size === 0) forget();
    }
    wakeNext(pool);
  });
  pool.open.add(connection);
  return connection;
}

function wakeNext({waiting}: Host): void {
  const [next] = waiting;
  next?.();
}

/** Until a connection is free or gone, or the caller gives up. */
function turn(pool: Host, signal: AbortSignal | undefined): Promise<void> {
  return new Promise(resolve => {
    const go = (): void => {
      pool.waiting.delete(go);
      signal?.removeEventListener('abort', go);
      resolve();
    };
    pool.waiting.add(go);
    signal?.addEventListener('abort', go, {once: true});
  });
}
