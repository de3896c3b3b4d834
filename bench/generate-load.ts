/** Runs bench/load.ts as a process pinned beside the server, and takes the server's CPU over exactly the measured time. */
import {spawn} from 'node:child_process';
import path from 'node:path';
import {createInterface} from 'node:readline';
import type {LoadPlan, LoadResult} from './load.ts';
import {cpuSeconds, loadCore, pin} from './processes.ts';

export interface Load extends LoadResult {
  /** Of the server, user and system. */
  readonly serverCpuSeconds: number;
}

export async function generateLoad(plan: LoadPlan, serverPid: number, options: {readonly pinned: boolean} = {pinned: true}): Promise<Load> {
  const child = spawn(process.execPath, ['--conditions=source', path.join(import.meta.dirname, 'load.ts')], {stdio: ['pipe', 'pipe', 'pipe']});
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
  const ended = new Promise<void>(resolve => child.once('close', () => resolve()));
  if (options.pinned) pin(child.pid!, loadCore);
  const lines = createInterface({input: child.stdout})[Symbol.asyncIterator]();
  const nextLine = async (): Promise<string> => {
    const line = await lines.next();
    if (line.done !== true) return line.value;
    await ended;
    throw new Error(`the load generator failed: ${errors.slice(0, 2000)}`);
  };
  child.stdin.write(`${JSON.stringify(plan)}\n`);
  await nextLine();
  const before = cpuSeconds(serverPid);
  child.stdin.write('go\n');
  const result = JSON.parse(await nextLine()) as LoadResult;
  const serverCpuSeconds = cpuSeconds(serverPid) - before;
  child.stdin.end();
  await ended;
  return {...result, serverCpuSeconds};
}
