/**
 * An instance must not be its own under store: with `eval "$(weir env)"` in the shell, `weir up s3://bucket` would mount itself, and every
 * read would ask itself for ever. Such mounts are refused, whether an option or the environment leads back here.
 */
import {WeirError} from '#base/errors.ts';
import type {StoreRegistry} from '#understore/store-provider.ts';

export interface OwnPort {
  readonly host: string;
  /** 0: not known yet, and so nobody else's either. */
  port: number;
}

const anyHost = new Set(['0.0.0.0', '::', '']);
const loopback = /^(localhost|127(\.\d+){3}|\[?::1\]?|.*\.localhost)$/i;

/** The endpoint that an s3 mount will speak to, where one is named. */
export function namedEndpoint(options: Readonly<Record<string, string>>, variables: Readonly<Record<string, string | undefined>>): string | undefined {
  return options['endpoint'] ?? variables['AWS_ENDPOINT_URL_S3'] ?? variables['AWS_ENDPOINT_URL'];
}

export function leadsTo(endpoint: string, own: OwnPort): boolean {
  if (!URL.canParse(endpoint) || own.port === 0) return false;
  const {hostname, port, protocol} = new URL(endpoint);
  if (Number(port || (protocol === 'https:' ? 443 : 80)) !== own.port) return false;
  const bare = (host: string) => host.replace(/^\[|\]$/g, '');
  return bare(hostname) === bare(own.host) || (loopback.test(hostname) && (loopback.test(own.host) || anyHost.has(own.host)));
}

export function refuseOwnEndpoint(registry: StoreRegistry, variables: Readonly<Record<string, string | undefined>>, own: OwnPort): StoreRegistry {
  const check = (uri: string, options: Readonly<Record<string, string>>) => {
    if (!/^s3a?:/i.test(uri)) return;
    const endpoint = namedEndpoint(options, variables);
    if (endpoint !== undefined && leadsTo(endpoint, own)) {
      const where = options['endpoint'] === undefined ? 'AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL in the environment (unset it, or give -o endpoint=…)' : 'the option endpoint';
      throw new WeirError('InvalidArgument', `${uri} would mount this very instance: ${where} leads back to ${endpoint}`);
    }
  };
  return {
    schemes: registry.schemes,
    describe: async (uri, options) => {
      check(uri, options);
      return await registry.describe(uri, options);
    },
    open: async (uri, options, uploads) => {
      check(uri, options);
      return await registry.open(uri, options, uploads);
    },
  };
}
