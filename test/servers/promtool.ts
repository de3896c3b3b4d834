/** Prometheus's own checker of metrics: `promtool check metrics < text`. */
import {spawn} from 'node:child_process';
import {debianPackage, findProgram, need} from './tools.ts';

export async function promtool(forWhat: string): Promise<string | undefined> {
  return await need('promtool', forWhat, async () => {
    const found = await findProgram('promtool');
    if (found) return found;
    await debianPackage('prometheus');
    const installed = await findProgram('promtool');
    if (!installed) throw new Error('the Debian package prometheus has brought no promtool');
    return installed;
  });
}

/** What promtool has against this exposition; empty when nothing. */
export async function checkMetrics(program: string, exposition: string): Promise<string> {
  const child = spawn(program, ['check', 'metrics'], {stdio: ['pipe', 'pipe', 'pipe']});
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stdin.end(exposition);
  const code = await new Promise<number | null>((resolve, reject) => child.once('close', resolve).once('error', reject));
  return code === 0 ? '' : output.trim() || `promtool ended with ${code}`;
}
