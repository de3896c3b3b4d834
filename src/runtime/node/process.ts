/** The process itself: arguments, environment, signals, standard streams, memory. */
import {readFileSync} from 'node:fs';
import {setFlagsFromString} from 'node:v8';
import {systemError} from '#runtime/node/system-errors.ts';

export const processFacts = {
  id: process.pid,
  arguments: process.argv.slice(2),
  environment: process.env as Readonly<Record<string, string | undefined>>,
  workingDirectory: process.cwd(),
};

/** Resolves when the text is with the system; a reader that went away (EPIPE) ends the process quietly, as in any pipe. */
export function writeOutput(text: string | Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(text, (error) => {
      if (!error) resolve();
      else if ((error as NodeJS.ErrnoException).code === 'EPIPE') process.exit(0);
      else reject(systemError(error, 'writing to standard output'));
    });
  });
}

export function writeError(text: string): void {
  process.stderr.write(text);
}

/** Opened when asked for: a stream that nobody reads would keep some kinds of input from ending. */
export function standardInput(): AsyncIterable<Uint8Array> {
  return process.stdin;
}

export function errorTerminal(): {readonly interactive: boolean; readonly columns: number} {
  return {interactive: process.stderr.isTTY === true, columns: process.stderr.columns ?? 80};
}

/** Asks a process to stop and to leave its mount to the next one. */
export const leaveSignal = 'SIGUSR2';

/** Calls `fn` for the first SIGINT, SIGTERM, SIGHUP or `leaveSignal`; a second one ends the process at once. */
export function onStopSignal(fn: (signal: string) => void): void {
  let asked = false;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', leaveSignal] as const) {
    process.on(signal, () => {
      if (asked) process.exit(130);
      asked = true;
      fn(signal);
    });
  }
}

export function endProcess(status: number): never {
  process.exit(status);
}

/** True when a process of that id is alive (and may be seen). */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

export function sendStop(pid: number, signal: 'SIGTERM' | typeof leaveSignal): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    throw systemError(error, `stopping process ${pid}`);
  }
}

/** Bytes: anonymous memory (what the process itself holds), and memory that maps files. */
export function memoryUse(): {readonly anonymousBytes: number; readonly fileBytes: number} {
  const status = readFileSync('/proc/self/status', 'utf8');
  const kib = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0);
  return {anonymousBytes: kib('RssAnon') * 1024, fileBytes: kib('RssFile') * 1024};
}

/** Descriptors that this process may have open. */
export function descriptorsMax(): number {
  const soft = /^Max open files\s+(\d+|unlimited)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
  return soft === undefined || soft === 'unlimited' ? Infinity : Number(soft);
}

/** How far the heap may grow over what is alive in it before V8 collects, percent. */
const heapGrowthPercent = 50;

/**
 * For a process that lives long and whose memory has a budget: left alone, V8 lets garbage grow to a multiple of what is alive where memory
 * is plenty. A listing of a million names, of which little stays, took a third less so, at no CPU that could be told from noise.
 */
export function boundGarbage(): void {
  setFlagsFromString(`--heap-growing-percent=${heapGrowthPercent}`);
}
