/**
 * ceph's s3-tests, those that are true of AWS (ceph-tests.tsv), from a checkout of the public suite, against a new instance with a
 * second account. `lean.py` beside this file keeps the suite from making a dozen clients around every test.
 */
import {execFile} from 'node:child_process';
import {mkdtemp, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {Weir} from '../../integration/harness.ts';
import {command, pythonVenv} from '../../servers/tools.ts';
import {exceptionsOf, type SuiteResult, testsOf} from './results.ts';

const requirements = [
  'boto3==1.44.5', 'gevent==26.9.0', 'httplib2==0.32.1', 'isodate==0.7.2', 'lxml==6.1.3', 'munch==4.0.0', 'pytest==9.2.0', 'pytest-timeout==2.4.0', 'pytz==2026.6', 'PyYAML==6.0.3', 'requests==2.34.2',
];
const secondsATestMax = 120;
export const cephExceptions = 'ceph-exceptions.tsv';
/** Of the test that makes a bucket elsewhere, which is skipped where there is no such place. */
const otherRegion = 'eu-west-3';

interface Account {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly id: string;
  readonly name: string;
}

/** The suite knows accounts by sections; those that would be of other products are the main one. */
function configurationOf(endpoint: string, main: Account, alt: Account): string {
  const {hostname, port, protocol} = new URL(endpoint);
  const section = (title: string, {accessKeyId, secretAccessKey, id, name}: Account, more = '') =>
    `[${title}]\naccess_key = ${accessKeyId}\nsecret_key = ${secretAccessKey}\nuser_id = ${id}\ndisplay_name = ${name}\nemail = ${title.replaceAll(' ', '-')}@example.com\n${more}\n`;
  return [
    `[DEFAULT]\nhost = ${hostname}\nport = ${port}\nis_secure = ${protocol === 'https:'}\nssl_verify = False\n`,
    '[fixtures]\nbucket prefix = weir-{random}-\niam name prefix = s3-tests-\niam path prefix = /s3-tests/\n',
    section('s3 main', main, `api_name = ${otherRegion}\nkms_keyid = testkey-1`), section('s3 alt', alt), section('s3 tenant', main, 'tenant = none'),
    ...['iam', 'iam root', 'iam alt root'].map(title => section(title, main)),
  ].join('\n');
}

/** What the server calls the account of a key. */
async function accountOf(python: string, endpoint: string, {accessKeyId, secretAccessKey}: Pick<Account, 'accessKeyId' | 'secretAccessKey'>): Promise<Account> {
  const ask = `import boto3; o = boto3.client('s3', endpoint_url='${endpoint}').list_buckets()['Owner']; print(o['ID']); print(o.get('DisplayName', ''))`;
  const [id = '', name = ''] = (await command(python, ['-c', ask], {
    env: {AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey, AWS_DEFAULT_REGION: 'us-east-1', AWS_PROFILE: undefined},
  })).trim().split('\n');
  return {accessKeyId, secretAccessKey, id, name};
}

/** Runs a program to its end, whatever that is; what it printed. */
function outputOf(program: string, args: readonly string[], options: {readonly cwd: string; readonly env: Record<string, string | undefined>; readonly timeoutMs: number}): Promise<string> {
  const {cwd, env, timeoutMs} = options;
  return new Promise(resolve => {
    execFile(program, [...args], {cwd, env: {...process.env, ...env}, timeout: timeoutMs, maxBuffer: 256 << 20}, (_error, stdout, stderr) => resolve(stdout + stderr));
  });
}

export async function ceph(suite: string, features: readonly string[]): Promise<SuiteResult[]> {
  const tests = await testsOf('ceph-tests.tsv', features);
  if (tests.length === 0) return [];
  const python = path.join(await pythonVenv('s3tests', requirements), 'bin/python');
  const exceptions = await exceptionsOf(cephExceptions);
  const directory = await mkdtemp(path.join(tmpdir(), 'weir-s3tests-'));
  await using weir = await Weir.start({args: []});
  try {
    const {s3} = weir.ready;
    const user = JSON.parse(await weir.command('user', 'add', 'alt', '--json')) as Account;
    const [configuration, ids] = ['s3tests.conf', 'ids'].map(file => path.join(directory, file)) as [string, string];
    await writeFile(configuration, configurationOf(s3, await accountOf(python, s3, weir.ready), await accountOf(python, s3, user)), {mode: 0o600});
    await writeFile(ids, tests.map(({name}) => `s3tests/functional/${name}\n`).join(''));
    const args = ['-m', 'pytest', '-q', '-p', 'no:cacheprovider', '-p', 'lean', '-rA', `--timeout=${secondsATestMax}`, '--tb=line', '--no-header', '-W', 'ignore', `@${ids}`];
    const env = {S3TEST_CONF: configuration, PYTHONPATH: import.meta.dirname, AWS_EC2_METADATA_DISABLED: 'true', AWS_PROFILE: undefined, COLUMNS: '500'};
    const output = await outputOf(python, args, {cwd: suite, env, timeoutMs: tests.length * secondsATestMax * 1000});
    const said = new Map([...output.matchAll(/^(PASSED|FAILED|ERROR) \S*functional\/(\S+?)(?: - (.*))?$/gm)].map(([, state, test, why]) => [test!, {state: state!, why: why ?? ''}]));
    if (said.size === 0) throw new Error(`pytest has said nothing of any test: ${output.slice(-3000)}`);
    return tests.map(({feature, name: test}): SuiteResult => {
      const name = test.replace(/^.*::/, '');
      const {state, why} = said.get(test) ?? {state: 'SKIPPED', why: 'skipped'};
      const exception = exceptions.get(name);
      if (exception === undefined) return {feature, name, state: state === 'PASSED' ? 'passed' : 'failed', why};
      return state === 'PASSED' ? {feature, name, state: 'failed', why: 'declared as wrong about S3, and passed: it needs no exception'} : {feature, name, state: 'declared', why: exception};
    });
  } finally {
    await rm(directory, {recursive: true, force: true});
  }
}
