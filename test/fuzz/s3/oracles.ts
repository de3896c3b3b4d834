/**
 * What must hold of every answer, whatever was asked: it is one well-formed answer and no fault of ours, it says no secret and nothing that a
 * client has put between the lines, what is stored is what the body says, and what was refused has changed nothing.
 */
import {createHash} from 'node:crypto';
import {SaxesParser} from 'saxes';
import {parseTarget} from '#codec/s3/target.ts';
import {subResourceOf} from '#frontends/s3/routes.ts';
import {host, nowMs, type S3Machine} from './machine.ts';
import {copyOf, dataOf, framesOf, type FuzzRequest, parseQueryText} from './request.ts';
import {encode, type Key, type SignPlan} from './sign.ts';

export interface Answer {
  readonly status: number;
  /** By lower-case name. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Buffer;
}

const patienceMs = 20_000;
/** Turns of the event loop without a change: what a request has set in motion behind its answer is over. */
const quietTurns = 3;
const statuses = /^(200|202|204|206|301|303|304|307|400|403|404|405|409|411|412|413|416|501)$/;

class Wrong extends Error {
  override name = 'Wrong';
}
const must = (holds: boolean, what: string): void => {
  if (!holds) throw new Wrong(what);
};

/** Reads an answer as a strict client would. */
function parseAnswer(bytes: Buffer, method: string): Answer {
  let text = bytes.toString('latin1');
  if (text.startsWith('HTTP/1.1 100 Continue\r\n\r\n')) text = text.slice(25);
  const end = text.indexOf('\r\n\r\n');
  must(end > 0, 'the answer has no head');
  const [first = '', ...lines] = text.slice(0, end).split('\r\n');
  const status = Number(/^HTTP\/1\.1 (\d{3}) [\x20-\x7e]*$/.exec(first)?.[1]);
  must(status > 0, `the status line is ${JSON.stringify(first)}`);
  const headers = new Map<string, string>();
  for (const line of lines) {
    const [, name, value] = /^([A-Za-z0-9!#$%&'*+.^_`|~-]+): ?([\t\x20-\x7e\x80-\xff]*)$/.exec(line) ?? [];
    must(name !== undefined, `a header line is ${JSON.stringify(line)}`);
    const lower = name!.toLowerCase();
    must(!headers.has(lower) || lower === 'vary', `the header ${lower} comes twice`);
    headers.set(lower, value!);
  }
  const body = Buffer.from(text.slice(end + 4), 'latin1');
  const length = headers.get('content-length');
  if (method === 'HEAD' || status === 204 || status === 304) must(body.length === 0, 'an answer without a body has one');
  else must(length !== undefined && Number(length) === body.length, `Content-Length says ${length}, the body has ${body.length} bytes`);
  return {status, headers, body};
}

function checkXml(text: string): string {
  const parser = new SaxesParser();
  let root = '';
  parser.on('error', (error) => { throw new Wrong(`the document is not well-formed: ${error.message}`); });
  parser.on('opentag', ({name}) => void (root ||= name));
  // Amazon writes references to characters that XML 1.0 has no place for, and so does Weir.
  parser.write(text.replaceAll(/&#x[0-9a-f]+;/g, '?')).close();
  return root;
}

function checkAnswer({status, headers, body}: Answer, {method, target}: Said, secrets: readonly string[]): void {
  must(statuses.test(String(status)), `status ${status}: ${body.toString().slice(0, 300)}`);
  must(!headers.has('x-injected'), 'a client wrote a header of the answer');
  const id = headers.get('x-amz-request-id') ?? headers.get('x-amzn-requestid');
  must(id !== undefined && /^[0-9A-F]{16}$/.test(id), 'the answer does not say whose it is');
  const text = body.toString();
  const all = `${[...headers].flat().join('\n')}\n${text}`;
  must(!secrets.some((secret) => all.includes(secret)), 'the answer has a secret in it');
  // An object may be of any type.
  const isObject = status < 400 && target?.key !== undefined && subResourceOf(target, method) === '';
  if (method === 'HEAD' || isObject || body.length === 0 || headers.get('content-type') !== 'application/xml') return;
  const root = checkXml(text);
  if (status < 400) return;
  must(root === 'Error' || root === 'ErrorResponse', `an error is a document of ${root}`);
  const code = /<Code>(\w+)<\/Code>/.exec(text)?.[1];
  must(code !== undefined && code !== 'InternalError', `the error is ${code}`);
  if (root === 'Error') must(text.includes(`<RequestId>${id}</RequestId>`), 'the request has two ids');
}

/** What the request on the wire says, read by readers of our own. */
interface Said {
  readonly method: string;
  readonly target: ReturnType<typeof parseTarget> | undefined;
  readonly header: (name: string) => string | undefined;
  /** The object's bytes; undefined where the framing cannot be understood. */
  readonly object: Buffer | undefined;
}

function readRequest(wire: Buffer): Said {
  const end = wire.indexOf('\r\n\r\n');
  const [first = '', ...lines] = wire.toString('latin1', 0, end < 0 ? 0 : end).split('\r\n');
  const [method = '', path = ''] = first.split(' ');
  const pairs = lines.map((line): [string, string] => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]);
  const header = (name: string) => pairs.find(([candidate]) => candidate === name)?.[1];
  let target: Said['target'];
  let object: Buffer | undefined;
  try {
    const name = header('host') ?? '';
    target = parseTarget(path, name.endsWith(`.${host}`) ? name.slice(0, -host.length - 1) : undefined);
    const raw = wire.subarray(end + 4);
    const body = header('transfer-encoding') === 'chunked' ? dataOf(framesOf(raw)) : raw.subarray(0, Number(header('content-length') ?? 0));
    const announced = header('x-amz-content-sha256') ?? parseQueryText(path.split('?')[1] ?? '').find(([parameter]) => parameter === 'X-Amz-Content-Sha256')?.[1] ?? '';
    object = announced.startsWith('STREAMING-') ? dataOf(framesOf(body)) : body;
  } catch {}
  return {method, target, header, object};
}

/** An upload that was accepted is what its body said. */
async function checkStored(machine: S3Machine, plan: SignPlan, said: Said, answer: Answer): Promise<void> {
  const {method, target, header, object} = said;
  if (answer.status !== 200 || method !== 'PUT' || !target?.bucket || target.key === undefined || header('x-amz-copy-source') !== undefined) return;
  const subResource = subResourceOf(target, method);
  if (subResource !== '' && subResource !== 'uploadId' && subResource !== 'partNumber') return;
  must(object !== undefined, 'a body that nobody can read was accepted');
  const customer = ['algorithm', 'key', 'key-md5'].flatMap((name) => [`x-amz-server-side-encryption-customer-${name}`]).filter((name) => header(name) !== undefined).flatMap((name) => [name, header(name)!]);
  if (customer.length === 0) must(answer.headers.get('etag') === `"${createHash('md5').update(object!).digest('hex')}"`, 'the ETag is not the MD5 of what was sent');
  if (subResource !== '') return;
  const version = answer.headers.get('x-amz-version-id');
  const path = `/${target.bucket}/${target.key.replaceAll(/[^A-Za-z0-9]/g, (char) => `%${char.charCodeAt(0).toString(16).padStart(2, '0')}`)}`;
  const read: FuzzRequest = {
    method: 'GET', path, query: version === undefined ? [] : [['versionId', version]], body: Buffer.alloc(0), framing: 'right',
    headers: [['Host', host], ...Array.from({length: customer.length / 2}, (_, i): [string, string] => [customer[2 * i]!, customer[2 * i + 1]!])],
  };
  // What an account writes into the bucket of another is its own.
  const readBy = async (key: Key): Promise<Answer> => parseAnswer((await machine.send(encode(copyOf(read), {how: 'header', key, nowMs})))!, 'GET');
  let stored = await readBy(machine.keys[0]!);
  if (stored.status === 403) stored = await readBy(plan.key);
  checkAnswer(stored, {...said, method: 'GET'}, machine.secrets);
  must(stored.status === 200, `what was just stored is answered with ${stored.status}: ${stored.body.toString().slice(0, 300)}`);
  must(stored.body.equals(object!), `stored are ${stored.body.length} bytes ${JSON.stringify(stored.body.toString('latin1', 0, 100))}, sent were ${object!.length} ${JSON.stringify(object!.toString('latin1', 0, 100))}`);
}

async function answerOf(machine: S3Machine, wire: Buffer): Promise<Buffer | undefined> {
  const {promise, reject} = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Wrong(`no answer after ${patienceMs} ms`)), patienceMs);
  try {
    return await Promise.race([machine.send(wire), promise]);
  } finally {
    clearTimeout(timer);
  }
}

async function quiet(machine: S3Machine): Promise<void> {
  for (let turns = 0, last = machine.sequence; turns < quietTurns; turns++) {
    await new Promise((resolve) => setImmediate(resolve));
    if (machine.sequence === last) continue;
    last = machine.sequence;
    turns = 0;
  }
}

/** Sends it and looks at everything. The answer; undefined where HTTP itself has refused it. Throws what is wrong. */
export async function examine(machine: S3Machine, wire: Buffer, plan: SignPlan): Promise<Answer | undefined> {
  const said = readRequest(wire);
  const reads = said.method === 'GET' || said.method === 'HEAD';
  // What looking at a key finds in the store is noted; so that nothing is left to find, somebody looks at it before.
  if (!reads && said.target?.bucket) await machine.lookAt(said.target.bucket, said.target.key);
  const before = machine.sequence;
  const bytes = await answerOf(machine, wire);
  if (machine.problems.length > 0) throw new Wrong(machine.problems.join('\n'));
  if (!bytes) return undefined;
  const answer = parseAnswer(bytes, said.method);
  checkAnswer(answer, said, machine.secrets);
  if (plan.broken) must(answer.status >= 400 || said.method === 'OPTIONS', 'a wrong signature was accepted');
  if (reads) return answer;
  if (answer.status >= 400 || said.method === 'OPTIONS') {
    must(machine.sequence === before, `a request that was answered with ${answer.status} changed something`);
    return answer;
  }
  await quiet(machine);
  await checkStored(machine, plan, said, answer);
  return answer;
}
