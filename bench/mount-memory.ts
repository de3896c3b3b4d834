/** What a walk over very many files costs in memory: `find` through the mount, over a store that Weir sees for the first time. */
import {spawn} from 'node:child_process';
import {once} from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import type {BenchOptions} from './bench.ts';
import {anonymousMiB, cpuSeconds, watchPeak} from './processes.ts';
import {atMost, number, type Row} from './report.ts';
import {startWeir} from './weir.ts';

const filesPerDirectory = 1000;
/** A process that has worked for a while takes some 300 MiB, half of it for what is young. */
const peakMiBMax = 450;
/** Of what is remembered for the kernel, at most 64 MiB for two million files; the rest is garbage that was not collected yet. */
const growthMiBMax = 64;

/** `flags`: those that mount on `mounted`. */
export async function walkMemory(root: string, mounted: string, flags: readonly string[], count: number, say: BenchOptions['say']): Promise<Row[]> {
  say(`making ${number(count)} files`);
  const tree = path.join(root, 'many');
  await makeEmptyFiles(tree, count);
  await using weir = await startWeir([{uri: `file://${tree}=/many`, options: {maxAge: 'always'}}], {flags});
  say(`walking over ${number(count)} files`);
  const began = anonymousMiB(weir.pid);
  const cpu = cpuSeconds(weir.pid);
  using peak = watchPeak(() => anonymousMiB(weir.pid));
  const find = spawn('find', [path.join(mounted, 'many'), '-type', 'f'], {stdio: ['ignore', 'pipe', 'inherit']});
  let [found, half] = [0, 0];
  find.stdout.on('data', (bytes: Buffer) => {
    for (const byte of bytes) if (byte === 0x0a) found++;
    if (half === 0 && found * 2 >= count) half = anonymousMiB(weir.pid);
  });
  await once(find, 'close');
  if (found !== count) throw new Error(`find has found ${found} of ${count} files`);
  const ended = anonymousMiB(weir.pid);
  const what = `find over ${number(count)} files, seen for the first time`;
  return [
    {what: `${what}: anonymous memory at its peak`, measured: `${number(peak.peak)} MiB`, beside: `${number(began)} MiB before`, figure: peak.peak, goal: atMost(peakMiBMax)},
    {what: 'the same: growth in its second half', measured: `${number(ended - half)} MiB`, beside: '', figure: ended - half, goal: atMost(growthMiBMax)},
    {what: 'the same: CPU of a file', measured: `${number(((cpuSeconds(weir.pid) - cpu) * 1e6) / count)} µs`, beside: ''},
  ];
}

async function makeEmptyFiles(directory: string, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const folder = path.join(directory, `d${Math.floor(i / filesPerDirectory)}`);
    if (i % filesPerDirectory === 0) {
      fs.mkdirSync(folder, {recursive: true});
      // Others have their turn.
      await new Promise(resolve => setImmediate(resolve));
    }
    fs.closeSync(fs.openSync(path.join(folder, `f${i}`), 'w'));
  }
}
