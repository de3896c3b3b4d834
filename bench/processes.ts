/** What the kernel counts of a process and all below it, and which core it may use. */
import {execFileSync} from 'node:child_process';
import {readdirSync, readFileSync} from 'node:fs';
import {cpus} from 'node:os';

/** `CLK_TCK` of every Linux that Node runs on. */
const ticksPerSecond = 100;
const mib = 2 ** 20;

export const serverCore = 0;
/** The load generator's: another than the server's, where there is one. */
export const loadCore = Math.min(1, cpus().length - 1);

function tree(pid: number): number[] {
  const below: number[] = [];
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    const text = readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').trim();
    if (text !== '') below.push(...text.split(' ').flatMap(child => tree(Number(child))));
  }
  return [pid, ...below];
}

/** User and system time of the process and its living children, seconds. */
export function cpuSeconds(pid: number): number {
  let ticks = 0;
  for (const one of tree(pid)) {
    // The name in parentheses may hold anything; the numbers follow the last one.
    const stat = readFileSync(`/proc/${one}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks / ticksPerSecond;
}

/** Anonymous memory, MiB. */
export function anonymousMiB(pid: number): number {
  let kib = 0;
  for (const one of tree(pid)) kib += Number(/^RssAnon:\s+(\d+)/m.exec(readFileSync(`/proc/${one}/status`, 'utf8'))?.[1] ?? 0);
  return (kib * 1024) / mib;
}

/** All threads that there are, and those that they start. */
export function pin(pid: number, core: number): void {
  for (const one of tree(pid)) execFileSync('taskset', ['-a', '-p', '-c', String(core), String(one)], {stdio: 'ignore'});
}

/** The largest value of `sample` until disposed. */
export function watchPeak(sample: () => number): Disposable & {readonly peak: number} {
  let peak = sample();
  const timer = setInterval(() => (peak = Math.max(peak, sample())), 50);
  return {
    get peak() {
      return peak;
    },
    [Symbol.dispose]: () => clearInterval(timer),
  };
}
