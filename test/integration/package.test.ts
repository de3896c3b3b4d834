/**
 * What npm gets: `npm pack` builds dist/ and packs it, an empty folder installs it, and there `npx weir up`, the client and its types work,
 * also where the only Node is an older one. Needs what npm needs: its cache or a registry. `npm run conformance:package` runs it alone.
 */
import assert from 'node:assert/strict';
import {execFile, spawn} from 'node:child_process';
import {once} from 'node:events';
import {mkdir, mkdtemp, readdir, readFile, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {createInterface} from 'node:readline';
import {after, test} from 'node:test';
import {promisify} from 'node:util';
import {need} from '../servers/tools.ts';

const run = promisify(execFile);
const root = path.resolve(import.meta.dirname, '../..');
const directory = await mkdtemp(path.join(tmpdir(), 'weir-package-'));
const empty = path.join(directory, 'empty');
after(() => rm(directory, {recursive: true, force: true}));

/** The oldest Node that can be found: the one that a machine may have as its only one. */
async function someNode(): Promise<string> {
  const candidates = [...(process.env['PATH'] ?? '').split(':'), '/usr/bin', '/usr/local/bin'].map((folder) => path.join(folder, 'node'));
  let oldest = {major: Infinity, file: process.execPath};
  for (const file of candidates) {
    const version = await run(file, ['--version']).catch(() => undefined);
    const major = Number(/^v(\d+)/.exec(version?.stdout ?? '')?.[1] ?? Infinity);
    if (major >= 20 && major < oldest.major) oldest = {major, file};
  }
  return oldest.file;
}

/** Nothing of this test's own Node may leak in. */
function environmentOf(node: string): NodeJS.ProcessEnv {
  const {NODE_OPTIONS: _options, NODE_COMPILE_CACHE: _cache, ...inherited} = process.env;
  return {...inherited, PATH: `${path.dirname(node)}:/usr/bin:/bin`};
}

async function install(): Promise<{node: string; env: NodeJS.ProcessEnv} | undefined> {
  return await need('npm with the packages that Weir stands on', 'the package as npm installs it', async () => {
    const node = await someNode();
    const env = environmentOf(node);
    await mkdir(empty);
    await writeFile(path.join(empty, 'package.json'), '{"name": "empty", "private": true, "type": "module"}');
    // Built by the Node that the checkout runs on; installed by whatever Node there is.
    const build = {cwd: root, env: {...env, PATH: `${path.dirname(process.execPath)}:${env['PATH']}`}};
    await run('npm', ['pack', '--silent', '--pack-destination', directory], build);
    const [tarball] = (await readdir(directory)).filter((name) => name.endsWith('.tgz'));
    await run('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', '--ignore-scripts', path.join(directory, tarball!)], {cwd: empty, env});
    return {node, env};
  });
}

const installed = await install();
if (installed) {
  const {node, env} = installed;
  const weir = path.join(empty, 'node_modules/.bin/weir');

  test('the package holds what runs and no sources', async () => {
    const folder = path.join(empty, 'node_modules/weir');
    assert.deepEqual((await readdir(folder)).sort(), ['LICENSE', 'README.md', 'bin', 'dist', 'package.json']);
    const names = await readdir(folder, {recursive: true});
    assert.ok(names.includes('dist/process/main.js'));
    assert.deepEqual(names.filter((name) => /(?<!\.d)\.ts$|\.test\./.test(name) && !name.startsWith('node_modules')), []);
  });

  test('weir up serves, the client and the command line speak to it, the demo runs', {timeout: 120_000}, async (context) => {
    context.diagnostic(`started by Node ${(await run(node, ['--version'])).stdout.trim()}`);
    const home = path.join(directory, 'home');
    const child = spawn('npx', ['weir', 'up', '--json', '--home', home, '--s3-port', '0', '--http-port', '0', '--rpc-port', '0'], {cwd: empty, env, stdio: ['ignore', 'pipe', 'inherit']});
    const exited = once(child, 'exit');
    try {
      const line = await createInterface({input: child.stdout})[Symbol.asyncIterator]().next();
      const ready = JSON.parse(String(line.value)) as {http: string};
      assert.equal((await fetch(`${ready.http}/healthz`)).status, 200);
      await writeFile(
        path.join(empty, 'program.js'),
        `import {connect, isKind} from 'weir/client';
        await using weir = await connect({home: ${JSON.stringify(home)}});
        await weir.write('/b/hello', 'from the package');
        console.log(Buffer.from(await weir.readBytes('/b/hello')).toString(), await weir.stat('/b/none').catch((error) => isKind(error, 'NotFound')));`,
      );
      const exact = path.join(empty, 'node_modules', `node-linux-${process.arch}`, 'bin/node');
      assert.equal((await run(exact, ['program.js'], {cwd: empty, env})).stdout, 'from the package true\n');
      assert.equal((await run(weir, ['fs', 'cat', '/b/hello', '--home', home], {env})).stdout, 'from the package');
      assert.equal((await run(weir, ['--version'], {env})).stdout.trim(), (JSON.parse(await readFile(path.join(root, 'package.json'), 'utf8')) as {version: string}).version);
      await run(weir, ['down', '--home', home], {env});
      await exited;
    } finally {
      child.kill('SIGKILL');
    }
    assert.match((await run(weir, ['demo', '--megabytes', '8'], {env: {...env, HOME: directory}})).stdout, /second time/);
  });

  test('programs in TypeScript see the types of the client', {timeout: 60_000}, async () => {
    await writeFile(
      path.join(empty, 'program.ts'),
      `import {connect, type FileEntry, isKind, WeirError} from 'weir/client';
      const weir = await connect({home: '/h'});
      const entry: FileEntry = await weir.stat('/x');
      const kind: 'file' | 'directory' | 'symlink' | 'special' = entry.kind;
      const stream: ReadableStream<Uint8Array> = await weir.read('/x', {offset: 1}, {signal: AbortSignal.timeout(5)});
      for await (const {path, length} of weir.list('/', {recursive: true})) console.log(path.length + length, kind, stream, isKind(new WeirError('NotFound', ''), 'NotFound'));
      // @ts-expect-error: a path is text
      await weir.stat(5);`,
    );
    const options = ['--strict', '--noEmit', '--module', 'nodenext', '--target', 'es2024', '--lib', 'es2024,esnext.disposable', '--types', 'node', '--typeRoots', path.join(root, 'node_modules/@types')];
    await run(process.execPath, [path.join(root, 'node_modules/typescript/bin/tsc'), ...options, 'program.ts'], {cwd: empty}).catch((error: {stdout: string}) => assert.fail(error.stdout));
  });
}
