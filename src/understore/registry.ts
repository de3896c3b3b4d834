/**
 * Which stores can be mounted. The list (scheme → loader) is handed in; a connector's code is loaded when its scheme is first
 * used, so nobody pays for a cloud that they do not mount. An opened store comes with all layers around it; the options of
 * the layers are the same for every scheme.
 */
import {WeirError} from '#base/errors.ts';
import {parseDuration, parseSize} from '#base/units.ts';
import type {Metrics} from '#runtime/metrics.ts';
import {withBandwidthLimit} from '#understore/layers/with-bandwidth-limit.ts';
import {defaultConcurrency, withConcurrencyLimit} from '#understore/layers/with-concurrency-limit.ts';
import {withMetrics} from '#understore/layers/with-metrics.ts';
import {defaultRetry, withRetry} from '#understore/layers/with-retry.ts';
import {defaultTimeout, withTimeout} from '#understore/layers/with-timeout.ts';
import {withUploadNotes} from '#understore/layers/with-upload-notes.ts';
import type {StoreRegistry} from '#understore/store-provider.ts';
import type {Connector, ConnectorEnvironment, UnderStore} from '#understore/under-store.ts';

export type ConnectorLoader = () => Promise<{readonly connector: Connector}>;

/** Options that every mount takes beside its connector's own. */
export const layerOptions: Connector['options'] = {
  retries: {help: `attempts of a call that failed and may be repeated (default ${defaultRetry.attemptsMax}; 1 = no retries)`},
  timeout: {help: `how long the store may be silent, in an answer or within a body (default ${defaultTimeout.callMs / 1000}s)`},
  requestsMax: {help: `requests in flight towards the store, for reads and for changes each (default ${defaultConcurrency.inFlightMax})`},
  readBandwidth: {help: 'bytes a second read from the store at most, for example 100MiB (default: no limit)'},
  writeBandwidth: {help: 'bytes a second written to the store at most (default: no limit)'},
  uploadExpiry: {help: 'multipart uploads of clients with which nothing was done for so long are aborted (default 7d)'},
};

/** The scheme of a URI, in lower case: `s3` of `s3://bucket/prefix`. */
export function schemeOf(uri: string): string {
  const match = /^([a-z][a-z0-9+.-]*):/i.exec(uri);
  if (!match) throw new WeirError('InvalidArgument', `not the URI of a store: ${JSON.stringify(uri)} (write for example s3://bucket/prefix or file:///data)`);
  return match[1]!.toLowerCase();
}

export function createStoreRegistry(loaders: Readonly<Record<string, ConnectorLoader>>, environment: ConnectorEnvironment, metrics: Metrics): StoreRegistry {
  const schemes = Object.keys(loaders).sort();

  async function connectorFor(uri: string, options: Readonly<Record<string, string>>): Promise<Connector> {
    const scheme = schemeOf(uri);
    const load = Object.hasOwn(loaders, scheme) ? loaders[scheme] : undefined;
    if (!load) throw new WeirError('InvalidArgument', `there is no connector for ${scheme}:// (there are ${schemes.map(name => `${name}://`).join(', ')})`);
    const {connector} = await load();
    const known = {...connector.options, ...layerOptions};
    for (const name of Object.keys(options)) {
      if (!Object.hasOwn(known, name)) throw new WeirError('InvalidArgument', `${scheme}:// has no option ${JSON.stringify(name)} (it has ${Object.keys(known).sort().join(', ')})`);
    }
    return connector;
  }

  return {
    schemes,
    async describe(uri, options) {
      const connector = await connectorFor(uri, options);
      checkLayerOptions(options);
      const secrets = Object.entries(connector.options).flatMap(([name, option]) => (option.secret ? [name] : []));
      return {...connector.describe(uri, options), secrets};
    },
    async open(uri, options, uploads) {
      const connector = await connectorFor(uri, options);
      checkLayerOptions(options);
      const store = await connector.open(uri, options, {...environment, uploads});
      return wrap(uploads ? withUploadNotes(store, uploads) : store, options, environment, metrics, schemeOf(uri));
    },
  };
}

/**
 * From the store outwards: metrics see every attempt; a place in the queue is taken for each attempt, and given back during the
 * pauses of retries; a timeout covers one attempt, without the time in the queue.
 */
function wrap(store: UnderStore, options: Readonly<Record<string, string>>, {clock, random}: ConnectorEnvironment, metrics: Metrics, scheme: string): UnderStore {
  const {retries, timeoutMs, requestsMax, bandwidth} = checkLayerOptions(options);
  let wrapped = withMetrics(store, clock, metrics, scheme);
  wrapped = withTimeout(wrapped, clock, timeoutMs === undefined ? defaultTimeout : {...defaultTimeout, callMs: timeoutMs, idleMs: timeoutMs});
  wrapped = withConcurrencyLimit(wrapped, {...defaultConcurrency, inFlightMax: requestsMax});
  if (bandwidth.readBytesPerSecond !== undefined || bandwidth.writeBytesPerSecond !== undefined) wrapped = withBandwidthLimit(wrapped, clock, bandwidth);
  return withRetry(wrapped, clock, random, {...defaultRetry, attemptsMax: retries});
}

function checkLayerOptions(options: Readonly<Record<string, string>>): {
  retries: number;
  timeoutMs: number | undefined;
  requestsMax: number;
  bandwidth: {readBytesPerSecond?: number; writeBytesPerSecond?: number};
} {
  const rate = (name: string): number | undefined => {
    const text = options[name];
    const value = text === undefined ? undefined : parseSize(text.replace(/\/s$/, ''));
    if (value === 0) throw new WeirError('InvalidArgument', `${name} must be more than nothing`);
    return value;
  };
  const read = rate('readBandwidth');
  const written = rate('writeBandwidth');
  const timeoutMs = options['timeout'] === undefined ? undefined : parseDuration(options['timeout']);
  if (options['uploadExpiry'] !== undefined && parseDuration(options['uploadExpiry']) < 60_000) throw new WeirError('InvalidArgument', 'uploadExpiry must be at least a minute');
  if (timeoutMs === 0) throw new WeirError('InvalidArgument', 'timeout must be more than nothing');
  return {
    retries: count(options, 'retries', defaultRetry.attemptsMax, 100),
    timeoutMs,
    requestsMax: count(options, 'requestsMax', defaultConcurrency.inFlightMax, 10_000),
    bandwidth: {...(read === undefined ? {} : {readBytesPerSecond: read}), ...(written === undefined ? {} : {writeBytesPerSecond: written})},
  };
}

function count(options: Readonly<Record<string, string>>, name: string, fallback: number, max: number): number {
  const text = options[name];
  if (text === undefined) return fallback;
  const value = /^\d+$/.test(text) ? Number(text) : 0;
  if (value < 1 || value > max) throw new WeirError('InvalidArgument', `${name} is a number from 1 to ${max}, not ${JSON.stringify(text)}`);
  return value;
}
