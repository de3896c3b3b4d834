/** weir up, down, status, env: the instance as a whole. */
import {type Command, Option} from 'commander';
import {WeirError} from '#base/errors.ts';
import {formatDuration, formatSize, parseSize} from '#base/units.ts';
import {fuseOption} from '#cli/fuse-options.ts';
import {example, globals, portOption, type Register, sizeOption, threadsOption} from '#cli/command.ts';
import type {InstanceInfo, RootKey, UpOptions} from '#cli/environment.ts';
import {writeTypeHelp} from '#cli/mount.ts';
import {json, print, table} from '#cli/output.ts';
import type {FuseOptions} from '#contracts/mounts-api.ts';
import {parseWriteType} from '#model/mount.ts';

/** `URI` or `URI=/PATH`; a `=` inside the URI's query is no separator. */
function splitMount(argument: string): {uri: string; path?: string} {
  const at = argument.lastIndexOf('=/');
  return at > 0 ? {uri: argument.slice(0, at), path: argument.slice(at + 1)} : {uri: argument};
}

/** `DIR:SIZE`. */
function parseDisk(text: string): {directory: string; quotaBytes: number} {
  const at = text.lastIndexOf(':');
  if (at <= 0) throw new WeirError('InvalidArgument', `not a cache directory: ${text} (write DIR:SIZE, for example /mnt/ssd/weir:100GiB)`);
  return {directory: text.slice(0, at), quotaBytes: parseSize(text.slice(at + 1))};
}

/**
 * Options of the mount before them: commander sees flags and arguments apart, so the raw words are read again. Returns the URIs with
 * their options.
 */
export function pairMountOptions(words: readonly string[], uris: readonly string[]): UpOptions['uris'] {
  const mounts: {uri: string; path?: string; options: Record<string, string>}[] = [];
  let next = 0;
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    if (word === uris[next]) {
      mounts.push({...splitMount(word), options: {}});
      next++;
      continue;
    }
    const pair = word === '-o' ? words[++i] : /^-o.+/.test(word) ? word.slice(2) : undefined;
    if (pair === undefined) continue;
    const at = pair.indexOf('=');
    if (at <= 0) throw new WeirError('InvalidArgument', `-o takes NAME=VALUE, not ${pair}`);
    const mount = mounts.at(-1);
    if (!mount) throw new WeirError('InvalidArgument', `-o ${pair.slice(0, at)} stands before the URI that it is for; write it after`);
    mount.options[pair.slice(0, at)] = pair.slice(at + 1);
  }
  return mounts;
}

function tlsOf({tlsCert, tlsKey}: {tlsCert?: string; tlsKey?: string}, workingDirectory: string): Pick<UpOptions, 'tls'> {
  if ((tlsCert === undefined) !== (tlsKey === undefined)) throw new WeirError('InvalidArgument', '--tls-cert and --tls-key belong together');
  if (tlsCert === undefined || tlsKey === undefined) return {};
  return {tls: {certFile: absolute(tlsCert, workingDirectory), keyFile: absolute(tlsKey, workingDirectory)}};
}

/** A local directory as the instance knows it, wherever it is called from, and however its name was completed. */
function absolute(directory: string, from: string): string {
  return (directory.startsWith('/') ? directory : `${from}/${directory}`).replace(/(?<=.)\/+$/, '');
}

interface UpFlags {
  readonly host: string;
  readonly s3Port: number;
  readonly httpPort: number;
  readonly rpcPort: number;
  readonly websitePort?: number;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly threads?: number;
  readonly memory?: number;
  readonly disk?: string[];
  readonly fuse?: string;
  readonly fuseOptions: FuseOptions;
  readonly audit: boolean;
}

function welcome(info: InstanceInfo, key: RootKey, uris: readonly {uri: string}[]): string {
  return `Weir is up (home ${info.home})

  S3      ${info.s3}
  REST    ${info.http}/api/v1   metrics ${info.http}/metrics
  keys    ${key.accessKeyId} / ${key.secretAccessKey}
${info.website === undefined ? '' : `  website ${info.website}\n`}${info.fuse === undefined ? '' : `  mount   ${info.fuse}\n`}
Try in another shell:
  eval "$(weir env)"
  aws s3 ls${uris.length > 0 ? '' : '            # nothing yet: aws s3 mb s3://my-bucket'}
Stop with Ctrl-C.
`;
}

interface UpFlags {
  readonly host: string;
  readonly s3Port: number;
  readonly httpPort: number;
  readonly rpcPort: number;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly threads?: number;
  readonly memory?: number;
  readonly disk?: string[];
  readonly fuse?: string;
  readonly audit: boolean;
  readonly writeType?: string;
}

export const registerUp: Register = (parent, environment) => {
  const collect = (text: string, before: string[] = []) => [...before, text];
  const command: Command = parent
    .command('up [URI...]')
    .description('start everything in one process, in the foreground; mounts each URI (URI=/PATH for another place than /BUCKET)')
    .option('--host <ADDR>', 'listen there', '127.0.0.1')
    .option('--s3-port <N>', 'S3; 0 = any free port', portOption, 7480)
    .option('--http-port <N>', 'REST, metrics, health', portOption, 7481)
    .option('--rpc-port <N>', 'the command line and the client', portOption, 7482)
    .option('--website-port <N>', 'buckets as websites, by the host BUCKET.anything or the path /BUCKET/; not served without it', portOption)
    .option('--tls-cert <FILE>', 'S3, REST and websites by https: the certificate in PEM form, with what leads to its authority')
    .option('--tls-key <FILE>', 'its key, in PEM form')
    .option('--threads <N>', 'so many threads serve S3 beside the main one, 0 = none; by default they come and go with the load, up to one for each core', threadsOption)
    .option('--memory <SIZE>', 'a cache tier in memory (tmpfs)', sizeOption)
    .option('--disk <DIR:SIZE>', 'a cache tier on disk; repeatable, fastest first', collect)
    .option('--no-audit', 'do not write down who changed what and who was denied (log/audit.log of the home)')
    .option('--fuse <DIR>', 'mount the namespace there too (Linux; root, or by fusermount3)')
    .addOption(fuseOption('--fuse-options <LIST>', 'as `weir fuse -o`'))
    .option('--write-type <TYPE>', `${writeTypeHelp}; of the home, and of the URIs that have no -o writeType`)
    .addOption(new Option('-o <NAME=VALUE>', 'an option of the URI before it; repeatable').argParser(collect))
    .action(async (uris: string[], options: UpFlags) => {
      const {terminal} = environment;
      const {home, json: asJson} = globals(command);
      const root: Command & {rawArgs?: string[]} = parent;
      const mounts = pairMountOptions(root.rawArgs ?? [], uris);
      const up: UpOptions = {
        uris: mounts,
        host: options.host,
        s3Port: options.s3Port,
        httpPort: options.httpPort,
        rpcPort: options.rpcPort,
        ...(options.websitePort === undefined ? {} : {websitePort: options.websitePort}),
        ...tlsOf(options, environment.workingDirectory),
        ...(options.audit ? {} : {audit: false}),
        ...(options.threads === undefined ? {} : {threads: options.threads}),
        ...(options.memory === undefined ? {} : {memoryBytes: options.memory}),
        disks: (options.disk ?? []).map(parseDisk),
        ...(options.fuse === undefined ? {} : {fuse: {...options.fuseOptions, directory: absolute(options.fuse, environment.workingDirectory)}}),
        ...(options.writeType === undefined ? {} : {writeType: parseWriteType(options.writeType)}),
      };
      await environment.instance(home).run(up, async (info, key) => {
        const website = info.website === undefined ? {} : {website: info.website};
        const line = {ready: true, pid: info.pid, home: info.home, s3: info.s3, http: info.http, rpc: `${info.rpc.host}:${info.rpc.port}`, ...website, ...(info.fuse === undefined ? {} : {fuse: info.fuse}), ...key};
        await terminal.out(asJson ? json(line) : welcome(info, key, mounts));
      });
    });
  example(
    command,
    'weir up s3://my-bucket',
    'weir up s3://my-bucket/data=/data -o endpoint=https://minio.example:9000 -o maxAge=5m --disk /mnt/ssd/weir:500GiB',
    'weir up --host 0.0.0.0 --tls-cert server.pem --tls-key server.key',
    'weir up            # a namespace over a folder of its home, where buckets can be made',
  );
};

interface FuseFlags {
  readonly readOnly?: boolean;
  readonly subdir?: string;
  readonly options: FuseOptions;
  readonly ownProcess?: boolean;
}

export const registerFuse: Register = (parent, environment) => {
  const command: Command = parent
    .command('fuse <DIR>')
    .description('mount the namespace of the running instance there by FUSE (Linux; root, or by fusermount3); in the foreground until it is unmounted')
    .option('--read-only', 'nothing can be changed there')
    .option('--subdir <PATH>', 'mount that directory of the namespace, not the whole')
    .addOption(fuseOption('-o, --options <LIST>', 'as for mount(8), with commas: ro, noallow_other, dev, suid, noexec, noatime …; uid=, gid=, umask=; subdir=; nopassthrough, shared_locks'))
    .option('--own-process', 'this process serves the mount, also where the instance could: slower, and on a core of its own')
    .action(async (directory: string, {readOnly, subdir, options: chosen, ownProcess = false}: FuseFlags) => {
      const options = globals(command);
      const place = absolute(directory, environment.workingDirectory);
      const asked = {...chosen, directory: place, ...(readOnly ? {readOnly} : {}), ...(subdir === undefined ? {} : {subdirectory: subdir})};
      await using mount = await environment.mount(options.home, asked, {ownProcess});
      const {why} = mount;
      const served = why === undefined ? 'served by the instance' : `by a process of its own, because ${why}`;
      const line = {mounted: place, ...(why === undefined ? {servedBy: 'instance'} : {servedBy: 'process', why})};
      await print(environment.terminal, options.json, line, `mounted on ${place}, ${served}; end with Ctrl-C or umount\n`);
      const {signal} = environment.context;
      const stopped = new Promise<void>(resolve => (signal.aborted ? resolve() : signal.addEventListener('abort', () => resolve(), {once: true})));
      await Promise.race([mount.ended, stopped]);
    });
  example(command, 'weir fuse /mnt/weir', 'weir fuse /mnt/training --read-only --subdir /bucket/training');
};

export const registerDown: Register = (parent, environment) => {
  const command: Command = parent
    .command('down')
    .description('stop the instance and wait until it is gone; or end the mount of one that died')
    .option('--keep-mount', 'do not unmount: programs on mounts wait for the next weir up on this home, and go on')
    .action(async ({keepMount = false}: {keepMount?: boolean}) => {
      const options = globals(command);
      const instance = environment.instance(options.home);
      const info = await instance.find();
      if (!info) {
        const ended = keepMount ? [] : await instance.endMounts();
        if (ended.length === 0) throw new WeirError('Unavailable', `no instance is running at ${instance.home}`);
        return await print(environment.terminal, options.json, {stopped: false, unmounted: ended}, `no instance was running; ended what it had left mounted: ${ended.join(', ')}\n`);
      }
      await instance.stop(info, {keepMount});
      await print(environment.terminal, options.json, {stopped: true, pid: info.pid}, 'stopped\n');
    });
  example(command, 'weir down', 'weir down --keep-mount && weir up --fuse /mnt/weir      # an upgrade');
};

export const registerStatus: Register = (parent, environment) => {
  const command: Command = parent
    .command('status')
    .description('is it running, since when, what is mounted, how full is the cache')
    .action(async () => {
      const options = globals(command);
      const instance = environment.instance(options.home);
      const info = await instance.find();
      if (!info) throw new WeirError('Unavailable', `no instance is running at ${instance.home}`);
      await using files = await environment.connect(options.home);
      const [status, mounts, served] = await Promise.all([files.status(environment.context), files.listMounts(environment.context), environment.servedMounts(options.home)]);
      const hits = status.hitBytes + status.missBytes === 0 ? '–' : `${Math.round((100 * status.hitBytes) / (status.hitBytes + status.missBytes))}%`;
      const rows = [
        ['pid', String(info.pid)],
        ['up for', formatDuration(environment.runtime.clock.nowMs() - info.startedAt)],
        ['home', info.home],
        ['S3', info.s3],
        ['REST', info.http],
        ...(info.website === undefined ? [] : [['websites', info.website]]),
        ['mounts', String(mounts.length)],
        ...served.map(({directory, readOnly, subdirectory, open, requests}) => ['on', `${directory}: ${subdirectory ?? '/'}${readOnly ? ', read-only' : ''}, ${open} open, ${requests} requests`]),
        ['cached', `${formatSize(status.tiers.reduce((sum, tier) => sum + tier.usedBytes, 0))} of ${formatSize(status.tiers.reduce((sum, tier) => sum + tier.quotaBytes, 0))}, ${status.contents} files`],
        ['served from cache', `${formatSize(status.hitBytes)} (${hits})`],
        ['read upstream', `${formatSize(status.upstreamBytes)} in ${status.upstreamRequests} requests`],
      ];
      await print(environment.terminal, options.json, {...info, ...status, mounts: mounts.length, served}, table([], rows));
    });
  example(command, 'weir status --json | jq .upstreamRequests');
};

export const registerEnv: Register = (parent, environment) => {
  const command: Command = parent
    .command('env')
    .description('shell lines that point S3 clients here')
    .action(async () => {
      const options = globals(command);
      const instance = environment.instance(options.home);
      const info = await instance.find();
      if (!info) throw new WeirError('Unavailable', `no instance is running at ${instance.home}`);
      const key = await instance.key();
      const variables: Record<string, string> = {
        AWS_ENDPOINT_URL: info.s3,
        AWS_ENDPOINT_URL_S3: info.s3,
        AWS_ACCESS_KEY_ID: key.accessKeyId,
        AWS_SECRET_ACCESS_KEY: key.secretAccessKey,
        AWS_REGION: 'us-east-1',
        AWS_DEFAULT_REGION: 'us-east-1',
        AWS_EC2_METADATA_DISABLED: 'true',
        ...(info.tls?.selfSigned ? {AWS_CA_BUNDLE: info.tls.certFile} : {}),
      };
      const lines = Object.entries(variables).map(([name, value]) => `export ${name}='${value.replaceAll("'", `'\\''`)}'\n`);
      await print(environment.terminal, options.json, variables, `${lines.join('')}unset AWS_SESSION_TOKEN AWS_PROFILE\n`);
    });
  example(command, 'eval "$(weir env)"', 'aws s3 ls');
};
