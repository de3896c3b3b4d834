/**
 * Who we are to S3: keys from the options, from the environment, or from the rest of the standard AWS chain (profile files, web
 * identity, container and instance roles). Only that rest needs the AWS SDK, which is loaded when it is first asked.
 */
import {WeirError} from '#base/errors.ts';
import type {Clock} from '#runtime/clock.ts';
import type {S3Config} from '#connectors/s3/config.ts';
import type {Credentials} from '#connectors/s3/sign.ts';

/** Temporary credentials are renewed so long before they expire. */
const renewEarlyMs = 5 * 60_000;
/** Where no metadata service is, its address may swallow packets. */
const chainMsMax = 5000;

export interface CredentialSource {
  /** Undefined: send no signature. Unauthenticated when nothing is found. */
  get(): Promise<Credentials | undefined>;
  /** The store has refused what `get` answered as expired. True when asking again may bring something else. */
  refused(): boolean;
  /** The region that the chain's profile names. */
  region(): Promise<string | undefined>;
}

export function credentialSource(config: S3Config, variables: Readonly<Record<string, string | undefined>>, clock: Clock): CredentialSource {
  const fixed = fixedCredentials(config, variables);
  if (config.anonymous || fixed) return {get: async () => fixed, refused: () => false, region: async () => undefined};
  return new ChainSource(config.profile, clock);
}

function fixedCredentials(config: S3Config, variables: Readonly<Record<string, string | undefined>>): Credentials | undefined {
  if (config.anonymous) return undefined;
  const {accessKeyId, secretAccessKey, sessionToken} = config;
  if (accessKeyId && secretAccessKey) return {accessKeyId, secretAccessKey, ...(sessionToken ? {sessionToken} : {})};
  const id = variables['AWS_ACCESS_KEY_ID'];
  const secret = variables['AWS_SECRET_ACCESS_KEY'];
  const token = variables['AWS_SESSION_TOKEN'];
  // A profile that was asked for goes before the environment.
  return id && secret && config.profile === undefined ? {accessKeyId: id, secretAccessKey: secret, ...(token ? {sessionToken: token} : {})} : undefined;
}

class ChainSource implements CredentialSource {
  readonly #profile: string | undefined;
  readonly #clock: Clock;
  #current: Credentials | undefined;
  #asking: Promise<Credentials> | undefined;
  #sdk: ReturnType<typeof loadChain> | undefined;

  constructor(profile: string | undefined, clock: Clock) {
    this.#profile = profile;
    this.#clock = clock;
  }

  async get(): Promise<Credentials> {
    const current = this.#current;
    if (current && (current.expiresAt === undefined || current.expiresAt - renewEarlyMs > this.#clock.nowMs())) return current;
    this.#asking ??= this.#ask().finally(() => (this.#asking = undefined));
    return await this.#asking;
  }

  refused(): boolean {
    this.#current = undefined;
    return true;
  }

  async region(): Promise<string | undefined> {
    this.#sdk ??= loadChain(this.#profile);
    try {
      return await (await this.#sdk).region();
    } catch {
      return undefined; // no profile, or one without a region
    }
  }

  async #ask(): Promise<Credentials> {
    this.#sdk ??= loadChain(this.#profile);
    const chain = await this.#sdk;
    const stop = new AbortController();
    try {
      const late = this.#clock.sleep(chainMsMax, {signal: stop.signal, unref: true}).then(() => undefined);
      late.catch(() => {});
      const found = await Promise.race([chain.credentials(), late]);
      if (!found) throw new Error('the chain has no answer');
      const {accessKeyId, secretAccessKey, sessionToken, expiration} = found;
      this.#current = {accessKeyId, secretAccessKey, ...(sessionToken ? {sessionToken} : {}), ...(expiration ? {expiresAt: expiration.getTime()} : {})};
      return this.#current;
    } catch (error) {
      const hint = 'set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the options accessKeyId and secretAccessKey, or anonymous=true for a public bucket';
      throw new WeirError('Unauthenticated', `no AWS credentials were found: ${hint}`, {cause: error});
    } finally {
      stop.abort();
    }
  }
}

async function loadChain(profile: string | undefined): Promise<{credentials: () => Promise<{accessKeyId: string; secretAccessKey: string; sessionToken?: string; expiration?: Date}>; region: () => Promise<string>}> {
  const {S3Client} = await import('@aws-sdk/client-s3');
  const client = new S3Client(profile === undefined ? {} : {profile});
  return {credentials: () => client.config.credentials(), region: async () => await client.config.region()};
}
