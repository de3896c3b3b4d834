/**
 * The mount beside a folder of the same disk (ext4, where it was written for), job by job in the same run: reads of a cached file by the kernel itself
 * and through Weir, many small files, writes, names, programs, and cold reads behind a link. Writes, names and programs also on a mount of rclone,
 * where that is installed. Needs root and /dev/fuse.
 */
import {spawnSync} from 'node:child_process';
import {accessSync, constants} from 'node:fs';
import {chmod, mkdir, mkdtemp, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';
import {type BenchOptions, gb, kib, mb, mib, scattered} from './bench.ts';
import {FarStore, farLink} from './far-store.ts';
import {walkMemory} from './mount-memory.ts';
import {makeTree, makeWorkTree} from './mount-trees.ts';
import {type MountJob, work} from './mount-work.ts';
import {cpuSeconds} from './processes.ts';
import {startRclone} from './rclone.ts';
import {atLeast, atMost, type Goal, median, number, type Row, type Section} from './report.ts';
import {startWeir, type Weir} from './weir.ts';

interface Scale {
  readonly rounds: number;
  readonly bigBytes: number;
  readonly randomReads: number;
  readonly smallFiles: number;
  readonly writtenBytes: number;
  /** For each of the writers. */
  readonly created: number;
  readonly listed: number;
  readonly worktree: number;
  readonly archived: number;
  readonly inserts: number;
  readonly coldBytes: number;
  /** For each of the readers. */
  readonly coldReads: number;
  /** Files that are walked over. */
  readonly walked: number;
}

const full: Scale = {
  rounds: 3, bigBytes: 512 * mib, randomReads: 20_000, smallFiles: 10_000, writtenBytes: 512 * mib, created: 1000, listed: 100_000, worktree: 50_000, archived: 2000, inserts: 300, coldBytes: 256 * mib, coldReads: 16,
  walked: 1_000_000,
};
const small: Scale = {
  rounds: 1, bigBytes: 4 * mib, randomReads: 200, smallFiles: 20, writtenBytes: 2 * mib, created: 10, listed: 200, worktree: 60, archived: 20, inserts: 5, coldBytes: 2 * mib, coldReads: 2, walked: 2000,
};

const smallFileBytes = 128 * kib;
const createdBytes = 4 * kib;
/** Weir rests when it takes no more CPU than this between two looks. */
const restCpuSeconds = 0.02;
const restLookMs = 250;
const restMsMax = 60_000;
const uncachedStats = 20_000;
const writers = 4;
const readers = 16;
const coldChunkBytes = 64 * kib;
const bucket = 'mount';
/** Of 4 KiB reads that the kernel answers, which take a microsecond each. */
const kernelReads = 5;

/** What one side took for a job. */
interface Taken {
  readonly seconds: number;
  readonly operations: number;
  readonly bytes: number;
  readonly cpuSeconds: number;
}

/** The mount's directory beside the plain one, and who serves the mount. */
interface Sides {
  readonly weir: Weir;
  readonly mount: string;
  readonly plain: string;
  /** The plain one's, or one beside it, by way of rclone, where that is installed. */
  readonly rclone?: string;
}

type Jobs = (directory: string, round: number) => readonly MountJob[];
type Before = (directory: string, round: number) => unknown;

export async function posix({quick, say}: BenchOptions): Promise<Section> {
  const title = 'Mount beside a folder of the same disk';
  if (!mountable()) return {name: 'posix', title, rows: [], notes: ['left out: needs root and /dev/fuse']};
  const scale = quick ? small : full;
  const root = await mkdtemp(path.join(tmpdir(), 'weir-bench-mount-'));
  await using _folder = {[Symbol.asyncDispose]: () => rm(root, {recursive: true, force: true, maxRetries: 3})};
  await mkdir(path.join(root, 'mounted'));
  const notes = [`medians of ${scale.rounds} rounds, the plain folder and the mount in turn; CPU is Weir's, user and system; rclone over the plain folder, with --vfs-cache-mode full`];
  const rows: Row[] = [];
  const store = await FarStore.start('bench posix', bucket);
  if (store) {
    await using _store = store;
    rows.push(...(await cachedFiles(store, root, scale, say)), ...(await coldReads(store, root, scale, say)));
  } else notes.push('left out, for want of versitygw: reads of cached files, cold reads');
  rows.push(...(await ownFiles(root, scale, say)), ...(await walkMemory(root, mounted(root), flags(root).flags, scale.walked, say)));
  return {name: 'posix', title, rows, notes};
}

function mountable(): boolean {
  try {
    accessSync('/dev/fuse', constants.R_OK | constants.W_OK);
    return process.getuid?.() === 0;
  } catch {
    return false;
  }
}

const mounted = (root: string): string => path.join(root, 'mounted');
const flags = (root: string, options = 'dev,suid'): {flags: readonly string[]} => ({flags: ['--fuse', mounted(root), '--fuse-options', options]});

/** Files of an S3 store, cached whole. */
async function cachedFiles(store: FarStore, root: string, scale: Scale, say: BenchOptions['say']): Promise<Row[]> {
  say('writing files behind the mount, and the same beside it');
  const behind = path.join(store.server.data, bucket);
  const plain = path.join(root, 'plain');
  const names = Array.from({length: scale.smallFiles}, (_, i) => `s${i}`);
  for (const directory of [behind, plain]) {
    await mkdir(directory, {recursive: true});
    await work([{kind: 'sequential-write', file: path.join(directory, 'big'), bytes: scale.bigBytes}]);
    for (const name of names) await writeFile(path.join(directory, name), Buffer.alloc(smallFileBytes, name));
  }
  const home = path.join(root, 'home');
  const mount = path.join(mounted(root), bucket);
  const reading: Jobs = directory => [{kind: 'sequential-read', file: path.join(directory, 'big')}];
  const random = (reads: number, direct: boolean): Jobs => (directory, round) => [{kind: 'random-read', file: path.join(directory, 'big'), reads, chunkBytes: 4 * kib, seed: round, direct}];
  const everyFile: Jobs = (directory, round) => [{kind: 'read-files', files: scattered(names.length, names.length, round).map(i => path.join(directory, names[i]!))}];
  const rows: Row[] = [];
  {
    await using weir = await store.weir(undefined, {...flags(root), home});
    const sides = {weir, mount, plain};
    say('first reads');
    await work(reading(mount, 0));
    const parts = Array.from({length: 8}, (_, part) => names.filter((_name, i) => i % 8 === part));
    await work(parts.map(part => ({kind: 'read-files', files: part.map(name => path.join(mount, name))})));
    // Nobody may write it: then it is handed to the kernel (docs/decisions/0006).
    await chmod(path.join(mount, 'big'), 0o444);
    const sequential = await compare(sides, scale, say, 'sequential reads by the kernel', reading);
    rows.push(
      rateRow('sequential read, hot, by the kernel itself (passthrough)', sequential, ({bytes, seconds}) => bytes / seconds / mb, ' MB/s', atLeast(0.95)),
      cpuRow('the same: CPU of Weir a GB', sequential, perGb, ' s', atMost(0.02)),
      rateRow('4 KiB random reads, hot, by the kernel itself (passthrough)', await compare(sides, scale, say, 'random reads', random(scale.randomReads * kernelReads, false)), perSecond, '/s', atLeast(0.95)),
      rateRow(`${number(scale.smallFiles)} files of 128 KiB in random order: open, read, close`,
        await compare(sides, scale, say, 'small files', everyFile), perSecond, '/s', atLeast(0.3)),
    );
  }
  {
    await using weir = await store.weir(undefined, {...flags(root), home});
    const first = await taken(weir, [{kind: 'random-read', file: path.join(mount, 'big'), reads: 1, chunkBytes: 4 * kib, seed: 1}]);
    rows.push({what: `first open after a restart, of ${number(scale.bigBytes / mib)} MiB, and a read of 4 KiB`, measured: `${number(first.seconds * 1000)} ms, CPU ${number(first.cpuSeconds)} s`, beside: ''});
  }
  {
    await using weir = await store.weir(undefined, {...flags(root, 'dev,suid,nopassthrough'), home});
    const sides = {weir, mount, plain};
    await work(reading(mount, 0));
    const sequential = await compare(sides, scale, say, 'sequential reads through Weir', reading, directory => {
      if (directory === mount) spawnSync('dd', [`if=${path.join(mount, 'big')}`, 'iflag=nocache', 'count=0']);
    });
    const again = await compare(sides, scale, say, 'sequential reads again', reading);
    const reads = await compare(sides, scale, say, 'random reads through Weir', random(scale.randomReads, true), undefined, true);
    rows.push(
      ownRow('sequential read through Weir: GB/s', {...sequential, plain: []}, ({bytes, seconds}) => bytes / seconds / gb, ' GB/s', atLeast(1.5)),
      cpuRow('the same: CPU of Weir a GB', sequential, perGb, ' s'),
      rateRow('the same again, from what the kernel has kept of the mount', again, ({bytes, seconds}) => bytes / seconds / mb, ' MB/s', atLeast(0.95)),
      ownRow('4 KiB random reads through Weir, past the kernel’s cache: reads per CPU-second', reads, perCpuSecond, '/CPU-s', atLeast(25_000)),
    );
  }
  await rm(home, {recursive: true});
  return rows;
}

async function coldReads(store: FarStore, root: string, {rounds, coldBytes, coldReads: count}: Scale, say: BenchOptions['say']): Promise<Row[]> {
  say('cold reads behind a link');
  const behind = path.join(store.server.data, bucket);
  for (let i = 0; i <= rounds; i++) await work([{kind: 'sequential-write', file: path.join(behind, `cold-${i}`), bytes: coldBytes}]);
  await using link = await store.link(farLink);
  await using weir = await store.weir(link, flags(root));
  const rates: number[] = [];
  for (let i = 0; i < rounds; i++) {
    // For the cache and for the mount.
    await freePages(root, 2 * coldBytes);
    const {bytes, seconds} = await taken(weir, [{kind: 'sequential-read', file: path.join(mounted(root), bucket, `cold-${i}`)}]);
    rates.push(bytes / seconds);
  }
  const before = link.counters.bytesDown;
  const file = path.join(mounted(root), bucket, `cold-${rounds}`);
  const {bytes} = await taken(weir, Array.from({length: readers}, (_, i) => ({kind: 'random-read', file, reads: count, chunkBytes: coldChunkBytes, seed: i + 1}) as const));
  // What is read ahead after the last answer counts too.
  for (let last = -1; last !== link.counters.bytesDown; ) {
    last = link.counters.bytesDown;
    await sleep(300);
  }
  const ratio = (link.counters.bytesDown - before) / bytes;
  const rate = median(rates);
  return [
    {what: 'cold sequential read behind 25 ms and 200 MB/s: share of the link', measured: `${number(rate / mb)} MB/s`, beside: '200 MB/s', figure: rate / farLink.bytesPerSecond, goal: atLeast(0.9)},
    {what: `random reads of 64 KiB of one file by ${readers} readers: bytes fetched ÷ asked`, measured: number(ratio), beside: '', figure: ratio, goal: atMost(1.3)},
  ];
}

/** Files of the home, and of a folder that is mounted: writing, names, programs. */
async function ownFiles(root: string, scale: Scale, say: BenchOptions['say']): Promise<Row[]> {
  say('making trees behind the mount, and the same beside it');
  const trees = [path.join(root, 'store'), path.join(root, 'plain')];
  for (const tree of trees) {
    await makeTree(path.join(tree, 'tree'), scale.listed);
    await makeWorkTree(path.join(tree, 'worktree'), scale.worktree);
  }
  const archive = path.join(root, 'source.tar');
  await makeTree(path.join(root, 'source'), scale.archived);
  spawnSync('tar', ['-cf', archive, '-C', root, 'source']);
  await using weir = await startWeir([{uri: `file://${trees[0]!}`, options: {maxAge: '1d'}}], flags(root));
  const aside = path.join(trees[1]!, 'made-by-rclone');
  for (const directory of [path.join(mounted(root), 'made'), path.join(root, 'made'), aside]) await mkdir(directory);
  await using rclone = await startRclone(trees[1]!);
  const sides = {weir, mount: path.join(mounted(root), 'store'), plain: trees[1]!, ...(rclone ? {rclone: rclone.directory} : {})};
  const home = {weir, mount: path.join(mounted(root), 'made'), plain: path.join(root, 'made'), ...(rclone ? {rclone: path.join(rclone.directory, path.basename(aside))} : {})};
  const tree = (count: number): readonly string[] => Array.from({length: count}, (_, i) => i % scale.listed).map(i => `tree/d${Math.floor(i / 1000)}/f${i}`);
  const files = tree(1000);
  const stats: Jobs = directory => [{kind: 'stat', files: Array.from({length: 20}, () => files.map(file => path.join(directory, file))).flat()}];
  const once: Jobs = directory => [{kind: 'stat', files: files.map(file => path.join(directory, file))}];
  // As many as take longer than the kernel's ticks, and than it takes the daemon to compile what it does for them.
  const uncached: Jobs = directory => [{kind: 'stat', files: tree(uncachedStats).map(file => path.join(directory, file))}];
  const running = (command: string, args: readonly string[], at: string): Jobs => directory => [{kind: 'run', command, args, directory: path.join(directory, at)}];
  const untar: Jobs = (directory, round) => [{kind: 'run', command: 'tar', args: ['-xf', archive, '--transform', `s,^source,source-${round},`], directory}];
  const creating: Jobs = (directory, round) => Array.from({length: writers}, (_, i) => ({kind: 'create', directory: path.join(directory, `c${round}-${i}`), files: scale.created, bytes: createdBytes}));
  const inserting: Jobs = (directory, round) => [{kind: 'insert', database: path.join(directory, `rows-${round}.db`), rows: scale.inserts}];
  say('first looks');
  for (const directory of [sides.mount, sides.plain, ...(rclone ? [rclone.directory] : [])]) {
    for (const jobs of [running('ls', ['-lR'], 'tree'), running('git', ['status'], 'worktree')]) await work(jobs(directory, 0));
  }
  const writing: Jobs = (directory, round) => [{kind: 'sequential-write', file: path.join(directory, `written-${round}`), bytes: scale.writtenBytes}];
  const written = await compare(home, scale, say, 'sequential writes', writing, () => freePages(root, 2 * scale.writtenBytes));
  const created = await compare(home, scale, say, 'creates', creating, async (directory, round) => {
    for (let i = 0; i < writers; i++) await mkdir(path.join(directory, `c${round}-${i}`));
  });
  return [
    rateRow('sequential write with fsync at the end', written, ({bytes, seconds}) => bytes / seconds / mb, ' MB/s', atLeast(0.8)),
    cpuRow('the same: CPU of Weir a GB', written, perGb, ' s'),
    ownRow(`4 KiB create, write, close by ${writers} writers`, created, perSecond, '/s', atLeast(6000)),
    cpuRow('the same: CPU of Weir a file', created, perOperation, ' µs'),
    {what: 'the same with all that is done behind, until the store has them', measured: `${number((1e6 * median(created.whole)) / (writers * scale.created))} µs`, beside: ''},
    rateRow('stat, cached', await compare(sides, scale, say, 'cached stats', stats, async (directory, round) => void (await work(once(directory, round)))), perSecond, '/s', atLeast(0.9)),
    ownRow('stat, forgotten by the kernel: per CPU-second', await compare(sides, scale, say, 'uncached stats', uncached, () => forgetAll(weir), true), perCpuSecond, '/CPU-s', atLeast(18_000)),
    timeRow(`ls -lR of ${number(scale.listed)} files, again`, await compare(sides, scale, say, 'ls -lR', running('ls', ['-lR'], 'tree')), atMost(3)),
    timeRow(`untar of ${number(scale.archived)} files`, await compare(home, scale, say, 'untar', untar), atMost(4)),
    timeRow(`git status of ${number(scale.worktree)} files, again`, await compare(sides, scale, say, 'git status', running('git', ['status'], 'worktree')), atMost(2)),
    rateRow('sqlite, synchronous=FULL: inserts', await compare(home, scale, say, 'inserts', inserting), perSecond, '/s', atLeast(0.5)),
  ];
}

interface Compared {
  readonly plain: readonly Taken[];
  readonly weir: readonly Taken[];
  /** Empty where it was not asked, or cannot do it. */
  readonly rclone: readonly Taken[];
  /** Seconds of CPU of each round and what it left to be done behind. */
  readonly whole: readonly number[];
}

const perSecond = ({operations, seconds}: Taken): number => operations / seconds;
const perCpuSecond = ({operations, cpuSeconds}: Taken): number => operations / cpuSeconds;
const perOperation = ({operations, cpuSeconds}: Taken): number => (1e6 * cpuSeconds) / operations;
const perGb = ({bytes, cpuSeconds}: Taken): number => cpuSeconds / (bytes / gb);

/** `before` each, of a directory: not measured. What one row leaves to be done behind is no part of the next: each begins when Weir rests. */
async function compare({weir, mount, plain, rclone}: Sides, {rounds}: Scale, say: BenchOptions['say'], what: string, jobs: Jobs, before?: Before, oursOnly = false): Promise<Compared> {
  const results = {plain: [] as Taken[], weir: [] as Taken[], rclone: [] as Taken[], whole: [] as number[]};
  for (let round = 0; round < rounds; round++) {
    say(`${what}, round ${round + 1} of ${rounds}`);
    if (!oursOnly) {
      await before?.(plain, round);
      results.plain.push(await taken(weir, jobs(plain, round)));
    }
    await rest(weir);
    await before?.(mount, round);
    const begun = cpuSeconds(weir.pid);
    results.weir.push(await taken(weir, jobs(mount, round)));
    await rest(weir);
    results.whole.push(cpuSeconds(weir.pid) - begun);
    if (oursOnly || rclone === undefined) continue;
    await before?.(rclone, round);
    const done = await taken(weir, jobs(rclone, round)).catch((error: unknown) => say(`rclone cannot: ${String(error)}`));
    if (done) results.rclone.push(done);
  }
  return results;
}

/** Until nothing more is done behind: what was written is in its store. */
async function rest(weir: Weir): Promise<void> {
  const until = Date.now() + restMsMax;
  for (let before = 0, now = cpuSeconds(weir.pid); now - before > restCpuSeconds && Date.now() < until; ) {
    await sleep(restLookMs);
    [before, now] = [now, cpuSeconds(weir.pid)];
  }
}

/**
 * Leaves that many bytes of free pages to whoever comes next. A virtual machine gives those that it does not use back to its host, and a page that
 * comes from there costs 10 to 50 µs: a side that has written just before would find some, the other none (docs/decisions/0007).
 */
async function freePages(directory: string, bytes: number): Promise<void> {
  const file = path.join(directory, 'pages');
  await work([{kind: 'sequential-write', file, bytes}]);
  await rm(file);
}

/** The kernel forgets what it knows of names, and tells the mount of each: that is no part of what is asked afterwards. */
async function forgetAll(weir: Weir): Promise<void> {
  await writeFile('/proc/sys/vm/drop_caches', '2');
  await rest(weir);
}

async function taken(weir: Weir, jobs: readonly MountJob[]): Promise<Taken> {
  const before = cpuSeconds(weir.pid);
  const done = await work(jobs);
  return {...done, cpuSeconds: cpuSeconds(weir.pid) - before};
}

const of = (all: readonly Taken[], figure: (one: Taken) => number): number => median(all.map(figure));

/** What the folder does, and rclone beside it. */
function besides({plain, rclone}: Compared, figure: (one: Taken) => number, unit: string): string {
  return [`${number(of(plain, figure))}${unit}`, ...(rclone.length === 0 ? [] : [`rclone ${number(of(rclone, figure))}${unit}`])].join('; ');
}

function rateRow(what: string, compared: Compared, rate: (one: Taken) => number, unit: string, goal: Goal): Row {
  const {plain, weir} = compared;
  return {what, measured: `${number(of(weir, rate))}${unit} (${number(of(weir, perOperation))} µs CPU each)`, beside: besides(compared, rate, unit), figure: of(weir, rate) / of(plain, rate), goal};
}

function timeRow(what: string, compared: Compared, goal: Goal): Row {
  const {plain, weir} = compared;
  const ms = ({seconds}: Taken): number => seconds * 1000;
  return {what, measured: `${number(of(weir, ms))} ms (CPU of Weir ${number(of(weir, one => one.cpuSeconds))} s)`, beside: besides(compared, ms, ' ms'), figure: of(weir, ms) / of(plain, ms), goal};
}

function ownRow(what: string, compared: Compared, figure: (one: Taken) => number, unit: string, goal: Goal): Row {
  const {weir, plain} = compared;
  return {what, measured: `${number(of(weir, figure))}${unit}`, beside: plain.length === 0 ? '' : besides(compared, figure, unit), figure: of(weir, figure), goal};
}

function cpuRow(what: string, {weir}: Compared, figure: (one: Taken) => number, unit: string, goal?: Goal): Row {
  return {what, measured: `${number(of(weir, figure))}${unit}`, beside: '', ...(goal ? {figure: of(weir, figure), goal} : {})};
}
