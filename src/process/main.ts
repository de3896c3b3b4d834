/** The process behind the command `weir`. Only what every command needs is loaded here; the rest when a command asks for it. */
import {WeirError} from '#base/errors.ts';
import type {CliEnvironment, Terminal} from '#cli/environment.ts';
import {runProgram} from '#cli/program.ts';
import {rootPrincipal} from '#contracts/context.ts';
import {commandRuntime} from '#process/command-runtime.ts';
import {homeAt, homeDirectory} from '#process/home.ts';
import {instanceControl} from '#process/instance-control.ts';
import {readWhole} from '#process/small-files.ts';
import {endProcess, errorTerminal, leaveSignal, onStopSignal, processFacts, standardInput, writeError, writeOutput} from '#runtime/node/process.ts';

const runtime = commandRuntime();
const stop = new AbortController();
let keepMount = false;
onStopSignal((signal) => {
  keepMount = signal === leaveSignal;
  stop.abort(new WeirError('Cancelled', `stopped by ${signal}`));
});

const terminal: Terminal = {
  out: writeOutput,
  err: writeError,
  get input() {
    return standardInput();
  },
  ...errorTerminal(),
};
const {version} = JSON.parse((await readWhole(runtime.disk, `${import.meta.dirname}/../../package.json`)) ?? '{"version":"unknown"}') as {version: string};

const instance = (home: string | undefined) =>
  instanceControl({home: homeDirectory(home, processFacts.environment, processFacts.workingDirectory), runtime, terminal, version, signal: stop.signal, keepMount: () => keepMount});

async function running(home: string | undefined) {
  const control = instance(home);
  const info = await control.find();
  if (!info) throw new WeirError('Unavailable', `no instance is running at ${control.home}`);
  return {info, key: await control.key()};
}

const environment: CliEnvironment = {
  runtime,
  terminal,
  version,
  workingDirectory: processFacts.workingDirectory,
  variables: processFacts.environment,
  instance,
  context: {principal: rootPrincipal, signal: stop.signal},
  async connect(home) {
    const {info, key} = await running(home);
    const {connectFiles} = await import('#process/connect.ts');
    return connectFiles(runtime, info.rpc, key);
  },
  async connectIdentity(home) {
    const {info, key} = await running(home);
    const {connectIdentity} = await import('#process/connect.ts');
    return connectIdentity(runtime, info.rpc, key);
  },
  async mount(home, options, {ownProcess}) {
    const [{mountBeside}, {heard}] = await Promise.all([import('#process/mount-beside.ts'), import('#process/heard-log.ts')]);
    const log = heard(runtime.log, line => terminal.err(`weir: ${line}\n`));
    const keeper = homeAt(instance(home).home).mounts;
    return await mountBeside({runtime: {...runtime, log}, running: () => running(home), keeper, keepMount: () => keepMount}, options, {ownProcess});
  },
  async servedMounts(home) {
    const {info, key} = await running(home);
    if (!info.whereabouts) return [];
    const {listServedMounts} = await import('#process/connect.ts');
    return await listServedMounts(runtime, info.rpc, key, environment.context);
  },
  async metrics(home) {
    const {info, key} = await running(home);
    const {createHttp} = await import('#runtime/node/http/node-http.ts');
    const {ownTrust} = await import('#process/own-certificate.ts');
    const credentials = Buffer.from(`${key.accessKeyId}:${key.secretAccessKey}`).toString('base64');
    const answer = await createHttp().request({method: 'GET', url: `${info.http}/metrics`, headers: ['Authorization', `Basic ${credentials}`], signal: stop.signal, ...(await ownTrust(runtime.disk, info))});
    const text = Buffer.concat(await Array.fromAsync(answer.body)).toString('utf8');
    if (answer.status !== 200) throw new WeirError('Unavailable', `${info.http}/metrics answered ${answer.status}`);
    return text;
  },
};

endProcess(await runProgram(environment, processFacts.arguments));
