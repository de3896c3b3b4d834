/**
 * What the standard AWS variables of the caller's shell say about an `s3://` mount. The instance that will serve it is another
 * process, perhaps started long ago: so they travel as options of the mount, and stay with it. Options that are given go first.
 */
type Variables = Readonly<Record<string, string | undefined>>;
type Options = Readonly<Record<string, string>>;

/** `own`: the instance's own S3 address. A shell in which `weir env` was evaluated speaks of the instance, not of a store behind it. */
export function awsOptions(uri: string, given: Options, variables: Variables, own: string): Options {
  if (!/^s3a?:/i.test(uri)) return given;
  const endpoint = variables['AWS_ENDPOINT_URL_S3'] ?? variables['AWS_ENDPOINT_URL'];
  if (endpoint && isSame(endpoint, own)) return given;
  const region = variables['AWS_REGION'] ?? variables['AWS_DEFAULT_REGION'];
  const found = {...named('endpoint', endpoint), ...named('region', region), ...named('caFile', variables['AWS_CA_BUNDLE']), ...credentials(given, variables)};
  return {...found, ...given};
}

/** As every AWS tool has it: keys go before a profile. */
function credentials(given: Options, variables: Variables): Options {
  if (['accessKeyId', 'secretAccessKey', 'profile', 'anonymous'].some(name => name in given)) return {};
  const {AWS_ACCESS_KEY_ID: id, AWS_SECRET_ACCESS_KEY: secret, AWS_SESSION_TOKEN: token, AWS_PROFILE: profile} = variables;
  return id && secret ? {accessKeyId: id, secretAccessKey: secret, ...named('sessionToken', token)} : named('profile', profile);
}

function named(name: string, value: string | undefined): Options {
  return value ? {[name]: value} : {};
}

const loopback = /^(localhost|127(\.\d+){3}|\[::1\])$/;

function isSame(a: string, b: string): boolean {
  if (!URL.canParse(a) || !URL.canParse(b)) return false;
  const [one, other] = [new URL(a), new URL(b)];
  return one.port === other.port && (one.hostname === other.hostname || (loopback.test(one.hostname) && loopback.test(other.hostname)));
}
