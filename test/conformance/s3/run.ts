/**
 * The S3 front end against the outside suites of the field: ceph's s3-tests (a checkout of the public repository, `--suite DIR` or
 * $S3TESTS_SUITE) and versitygw's client suite (installed by Go). Installs what it needs outside the checkout, starts Weir, prints what
 * failed, and writes the table to docs/s3-conformance.md. `--only ceph|versitygw`, `--feature NAME` (repeatable) run a part and write nothing.
 */
import {execFile} from 'node:child_process';
import {existsSync} from 'node:fs';
import {mkdtemp, readFile, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {parseArgs} from 'node:util';
import {Weir} from '../../integration/harness.ts';
import {versitygwProgram} from '../../servers/s3-servers.ts';
import {pythonVenv} from '../../servers/tools.ts';
import {runVersitygwSuite} from './versitygw.ts';

const requirements = [
  'boto3==1.44.5', 'gevent==26.9.0', 'httplib2==0.32.1', 'isodate==0.7.2', 'lxml==6.1.3', 'munch==4.0.0', 'pytest==9.2.0', 'pytest-timeout==2.4.0', 'pytz==2026.6', 'PyYAML==6.0.3', 'requests==2.34.2',
];
const secondsATestMax = 120;
const here = import.meta.dirname;

interface Result {
  readonly feature: string;
  readonly name: string;
  /** `outside`: the test drives its own server's program or protocol, not S3. `declared`: believed wrong about S3, see versitygw-exceptions.tsv. */
  readonly state: 'passed' | 'failed' | 'skipped' | 'outside' | 'declared';
  readonly why: string;
}

interface Endpoint {
  readonly s3: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

async function listOf(file: string, features: readonly string[]): Promise<[feature: string, name: string][]> {
  const rows = (await readFile(path.join(here, file), 'utf8')).trim().split('\n').map(line => line.split('\t') as [string, string]);
  return features.length === 0 ? rows : rows.filter(([feature]) => features.includes(feature));
}

/** Runs a program to its end, whatever that is. */
function run(program: string, args: readonly string[], options: {readonly cwd?: string; readonly env?: Record<string, string | undefined>; readonly timeoutMs: number}): Promise<{code: number | null; output: string}> {
  const {cwd, env, timeoutMs} = options;
  return new Promise(resolve => {
    const child = execFile(program, [...args], {...(cwd === undefined ? {} : {cwd}), env: {...process.env, ...env}, timeout: timeoutMs, maxBuffer: 256 << 20}, (_error, stdout, stderr) => {
      resolve({code: child.exitCode, output: stdout + stderr});
    });
  });
}

/** The suite knows accounts by sections; those that would be of other products are the main one. */
function cephConfiguration({s3, accessKeyId, secretAccessKey}: Endpoint, owner: {id: string; name: string}): string {
  const {hostname, port, protocol} = new URL(s3);
  const account = (section: string, more = '') =>
    `[${section}]\naccess_key = ${accessKeyId}\nsecret_key = ${secretAccessKey}\nuser_id = ${owner.id}\ndisplay_name = ${owner.name}\nemail = ${section.replaceAll(' ', '-')}@example.com\n${more}\n`;
  return [
    `[DEFAULT]\nhost = ${hostname}\nport = ${port}\nis_secure = ${protocol === 'https:'}\nssl_verify = False\n`,
    '[fixtures]\nbucket prefix = weir-{random}-\niam name prefix = s3-tests-\niam path prefix = /s3-tests/\n',
    account('s3 main', 'api_name =\nkms_keyid = testkey-1'), account('s3 alt'), account('s3 tenant', 'tenant = none'), account('iam'), account('iam root'), account('iam alt root'),
  ].join('\n');
}

async function ceph(suite: string, endpoint: Endpoint, features: readonly string[]): Promise<Result[]> {
  const python = path.join(await pythonVenv('s3tests', requirements), 'bin/python');
  const tests = await listOf('ceph-tests.tsv', features);
  if (tests.length === 0) return [];
  const directory = await mkdtemp(path.join(tmpdir(), 'weir-s3tests-'));
  try {
    const credentials = {AWS_ACCESS_KEY_ID: endpoint.accessKeyId, AWS_SECRET_ACCESS_KEY: endpoint.secretAccessKey, AWS_DEFAULT_REGION: 'us-east-1', AWS_PROFILE: undefined};
    const who = `import boto3; o = boto3.client('s3', endpoint_url='${endpoint.s3}').list_buckets()['Owner']; print(o['ID']); print(o.get('DisplayName', ''))`;
    const [id = '', name = ''] = (await run(python, ['-c', who], {timeoutMs: 60_000, env: credentials})).output.trim().split('\n');
    const [configuration, ids] = ['s3tests.conf', 'ids'].map(file => path.join(directory, file)) as [string, string];
    await writeFile(configuration, cephConfiguration(endpoint, {id, name}), {mode: 0o600});
    await writeFile(ids, tests.map(([, test]) => `s3tests/functional/${test}\n`).join(''));
    const args = ['-m', 'pytest', '-q', '-p', 'no:cacheprovider', '-p', 'lean', '-rA', `--timeout=${secondsATestMax}`, '--tb=line', '--no-header', '-W', 'ignore', `@${ids}`];
    const env = {S3TEST_CONF: configuration, PYTHONPATH: here, AWS_EC2_METADATA_DISABLED: 'true', AWS_PROFILE: undefined};
    const {output} = await run(python, args, {cwd: suite, env, timeoutMs: tests.length * secondsATestMax * 1000});
    const said = new Map([...output.matchAll(/^(PASSED|FAILED|ERROR|SKIPPED) \S*functional\/(\S+?)(?: - (.*))?$/gm)].map(([, state, test, why]) => [test!, {state: state!, why: why ?? ''}]));
    return tests.map(([feature, test]): Result => {
      const {state, why} = said.get(test) ?? {state: 'SKIPPED', why: ''};
      return {feature, name: test.replace(/^.*::/, ''), state: state === 'PASSED' ? 'passed' : state === 'SKIPPED' ? 'skipped' : 'failed', why};
    });
  } finally {
    await rm(directory, {recursive: true, force: true});
  }
}

async function versitygw(): Promise<Result[]> {
  const results = await runVersitygwSuite(await versitygwProgram());
  return features.length === 0 ? results : results.filter(({feature}) => features.includes(feature));
}

async function cephAlone(features: readonly string[]): Promise<Result[]> {
  await using weir = await Weir.start({args: []});
  return await ceph(path.resolve(suite!), weir.ready, features);
}

function table(title: string, results: readonly Result[]): string {
  const counted = results.filter(({state}) => state !== 'outside');
  const row = (feature: string, of: readonly Result[]) => `| ${feature} | ${of.filter(({state}) => state === 'passed').length} | ${of.length} |`;
  const features = [...new Set(counted.map(({feature}) => feature))].sort();
  const declared = counted.filter(({state}) => state === 'declared');
  const outside = results.length - counted.length;
  return [
    `## ${title}\n`, '| feature | passed | of |', '|---|---|---|', ...features.map(feature => row(feature, counted.filter(result => result.feature === feature))), row('**all**', counted),
    ...(outside > 0 ? [`\n${outside} more drive the program versitygw itself and cannot pass anywhere else.`] : []),
    ...(declared.length > 0 ? ['\nBelieved wrong about S3 (documentation in `test/conformance/s3/versitygw-exceptions.tsv`):\n', ...declared.map(({name, why}) => `- \`${name}\`: ${why}`)] : []),
    ...(counted.some(({state}) => state === 'failed') ? ['\nNot passed:\n', ...counted.filter(({state}) => state === 'failed').map(({name}) => `- \`${name}\``)] : []), '',
  ].join('\n');
}

const {values} = parseArgs({options: {suite: {type: 'string'}, only: {type: 'string'}, feature: {type: 'string', multiple: true, default: []}}});
const suite = values.suite ?? process.env['S3TESTS_SUITE'];
const {only, feature: features} = values;
if (only !== undefined && only !== 'ceph' && only !== 'versitygw') throw new Error('--only ceph or --only versitygw');
if (only !== 'versitygw' && (suite === undefined || !existsSync(path.join(suite, 's3tests/functional/test_s3.py')))) {
  throw new Error('name a checkout of ceph/s3-tests by --suite DIR or $S3TESTS_SUITE, or run --only versitygw');
}
const parts: string[] = [];
let failures = 0;
for (const [name, title] of [['ceph', 'ceph s3-tests (those that are true of AWS)'], ['versitygw', "versitygw's client suite, full flow"]] as const) {
  if (only !== undefined && only !== name) continue;
  const results = name === 'ceph' ? await cephAlone(features) : await versitygw();
  for (const {state, feature, name: test, why} of results) if (state === 'failed') process.stdout.write(`FAILED ${feature} ${test}: ${why.trim().slice(0, 300)}\n`);
  failures += results.filter(({state}) => state === 'failed').length;
  parts.push(table(title, results));
}
const document = `# The S3 front end and the suites of others\n\nWritten by \`npm run conformance:s3 -- --suite DIR\`.\n\n${parts.join('\n')}`;
process.stdout.write(`\n${document}`);
if (only === undefined && features.length === 0) await writeFile(path.resolve(here, '../../../docs/s3-conformance.md'), document);
process.exitCode = failures > 0 ? 1 : 0;
