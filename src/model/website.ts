/** A bucket as a website ("Hosting a static website", S3 User Guide): what its configuration says of a request. */
import {WeirError} from '#base/errors.ts';

export interface Redirect {
  readonly protocol?: 'http' | 'https';
  readonly hostName?: string;
  readonly replacePrefix?: string;
  readonly replaceKey?: string;
  readonly status?: number;
}

export interface RoutingRule {
  readonly keyPrefix?: string;
  /** Only when the request would end with this status. */
  readonly errorStatus?: number;
  readonly redirect: Redirect;
}

export type Website =
  | {readonly redirectAll: Pick<Redirect, 'hostName' | 'protocol'>}
  | {
      /** The name that is added to keys of directories. */
      readonly index: string;
      /** The key of what is shown instead of an error. */
      readonly error?: string;
      readonly rules: readonly RoutingRule[];
    };

/** The name of the setting that holds it, as JSON. */
export const websiteSetting = 'website';

/** As written by the front end that checked it. Corrupt. */
export function parseWebsite(text: string): Website {
  try {
    const website: unknown = JSON.parse(text);
    if (typeof website === 'object' && website !== null && ('index' in website || 'redirectAll' in website)) return website as Website;
  } catch {
    // Told below.
  }
  throw new WeirError('Corrupt', 'the website configuration of a bucket cannot be read');
}

const statusDefault = 301;

/** Where a request goes instead. `key`: text; with protocol and host only where they are another than those of the request. */
export interface Elsewhere {
  readonly status: number;
  readonly protocol?: 'http' | 'https';
  readonly hostName?: string;
  readonly key: string;
}

/** By the first rule that fits. `errorStatus` absent: before anything was looked for. */
export function routed(rules: readonly RoutingRule[], key: string, errorStatus?: number): Elsewhere | undefined {
  const rule = rules.find(({keyPrefix = '', errorStatus: when}) => when === errorStatus && key.startsWith(keyPrefix));
  if (!rule) return undefined;
  const {redirect: {status = statusDefault, protocol, hostName, replaceKey, replacePrefix}, keyPrefix = ''} = rule;
  const to = replaceKey ?? (replacePrefix === undefined ? key : replacePrefix + key.slice(keyPrefix.length));
  return {status, key: to, ...(protocol ? {protocol} : {}), ...(hostName === undefined ? {} : {hostName})};
}
