/**
 * Temporary credentials, as the Security Token Service gives them: AssumeRole and GetSessionToken as forms posted to the root. A session
 * acts as who asked for it, within its own policy; the role that is named means nothing here.
 */
import {parseIdentityPolicy} from '#codec/s3/policy/document.ts';
import {S3Error, toS3Error} from '#codec/s3/s3-error.ts';
import type {S3Target} from '#codec/s3/target.ts';
import {element} from '#codec/s3/xml-write.ts';
import type {Caller, IdentityDirectory} from '#contracts/identity-api.ts';
import type {Authenticator} from '#frontends/s3/authenticate.ts';
import type {HttpExchange} from '#runtime/http.ts';

const formBytesMax = 64 * 1024;
const namespace = 'https://sts.amazonaws.com/doc/2011-06-15/';
/** Seconds. "AssumeRole" and "GetSessionToken" of the STS API reference. */
const actions: ReadonlyMap<string, {readonly usual: number; readonly most: number}> = new Map([
  ['AssumeRole', {usual: 3600, most: 43_200}],
  ['GetSessionToken', {usual: 43_200, most: 129_600}],
]);
const secondsMin = 900;
const policyCharsMax = 2048;
const sessionNamePattern = /^[\w+=,.@-]{2,64}$/;

export interface StsServices {
  readonly authenticator: Authenticator;
  readonly directory: IdentityDirectory;
  readonly nowMs: () => number;
}

export function isStsRequest(exchange: HttpExchange, {bucket}: S3Target): boolean {
  return exchange.method === 'POST' && bucket === undefined && /^application\/x-www-form-urlencoded\b/i.test(exchange.header('content-type') ?? '');
}

/** Answers the request, also when it is refused; says who asked and what was answered. */
export async function answerSts(exchange: HttpExchange, target: S3Target, requestId: string, services: StsServices): Promise<{readonly caller?: Caller; readonly error?: S3Error}> {
  let caller: Caller | undefined;
  try {
    const form = await readForm(exchange);
    caller = services.authenticator.authenticateSts(exchange, target, form, services.nowMs());
    const document = issue(new URLSearchParams(form.toString('utf8')), caller, requestId, services);
    await respond(exchange, 200, document, requestId);
    return {caller};
  } catch (error) {
    const known = toS3Error(error);
    if (!known) throw error;
    const inner = `<Error>${element('Type', 'Sender')}${element('Code', known.code)}${element('Message', known.message)}</Error>${element('RequestId', requestId)}`;
    await respond(exchange, known.status, `<ErrorResponse xmlns="${namespace}">${inner}</ErrorResponse>`, requestId);
    return {...(caller ? {caller} : {}), error: known};
  }
}

async function readForm(exchange: HttpExchange): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of exchange.body) {
    bytes += chunk.length;
    if (bytes > formBytesMax) throw new S3Error('InvalidRequest', `The form has more than ${formBytesMax} bytes.`);
    chunks.push(Buffer.from(chunk));
  }
  return Buffer.concat(chunks);
}

function issue(form: URLSearchParams, caller: Caller, requestId: string, {directory, nowMs}: StsServices): string {
  const action = form.get('Action') ?? '';
  if (action === 'GetCallerIdentity') return answerOf(action, `${element('Arn', caller.arn)}${element('UserId', caller.owner.id)}${element('Account', caller.accountId)}`, requestId);
  const limits = actions.get(action);
  if (!limits) throw new S3Error('InvalidAction', `Could not find operation ${action.slice(0, 100)}.`);
  // Another session of a session would be rid of its policy.
  if (caller.session) throw new S3Error('AccessDenied', `Cannot call ${action} with session credentials`);
  const sessionName = form.get('RoleSessionName') ?? caller.principal.name;
  if (action === 'AssumeRole' && !sessionNamePattern.test(sessionName)) throw new S3Error('InvalidParameterValue', 'RoleSessionName has 2 to 64 letters, digits and _+=,.@-');
  const seconds = Number(form.get('DurationSeconds') ?? limits.usual);
  if (!Number.isInteger(seconds) || seconds < secondsMin || seconds > limits.most) throw new S3Error('InvalidParameterValue', `DurationSeconds is ${secondsMin} to ${limits.most}`);
  const policy = form.get('Policy') ?? undefined;
  if (policy !== undefined) {
    if (policy.length > policyCharsMax) throw new S3Error('PackedPolicyTooLarge', `A session policy has at most ${policyCharsMax} characters`);
    try {
      parseIdentityPolicy(policy);
    } catch (error) {
      throw error instanceof S3Error ? new S3Error('MalformedPolicyDocument', error.message) : error;
    }
  }
  const issued = directory.issue(caller, {expiresAt: nowMs() + seconds * 1000, sessionName, ...(policy === undefined ? {} : {policy})});
  const expiration = new Date(issued.expiresAt).toISOString().replace(/\.\d{3}Z$/, 'Z');
  const {accessKeyId, secretAccessKey, sessionToken} = issued;
  const fields = [['AccessKeyId', accessKeyId], ['SecretAccessKey', secretAccessKey], ['SessionToken', sessionToken], ['Expiration', expiration]] as const;
  const credentials = `<Credentials>${fields.map(([name, value]) => element(name, value)).join('')}</Credentials>`;
  const assumed = action === 'AssumeRole' ? `<AssumedRoleUser>${element('Arn', caller.arn)}${element('AssumedRoleId', `${accessKeyId}:${sessionName}`)}</AssumedRoleUser>` : '';
  return answerOf(action, `${credentials}${assumed}`, requestId);
}

function answerOf(action: string, result: string, requestId: string): string {
  return `<${action}Response xmlns="${namespace}"><${action}Result>${result}</${action}Result><ResponseMetadata>${element('RequestId', requestId)}</ResponseMetadata></${action}Response>`;
}

function respond(exchange: HttpExchange, status: number, document: string, requestId: string): Promise<void> {
  const bytes = Buffer.from(document, 'utf8');
  return exchange.respond(status, ['x-amzn-requestid', requestId, 'Server', 'Weir', 'Content-Type', 'text/xml'], {kind: 'bytes', length: bytes.length, bytes});
}
