/** Trees of small files that are the same every time, and a git repository over one. */
import {spawnSync} from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

const filesPerDirectory = 1000;
/** Different ones: git keeps each once. */
const texts = Array.from({length: 50}, (_, i) => Buffer.from(`line ${i}\n`.repeat(1 + i * 4)));

/** `count` files `dN/fM`, a thousand a directory. */
export async function makeTree(directory: string, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const folder = path.join(directory, `d${Math.floor(i / filesPerDirectory)}`);
    if (i % filesPerDirectory === 0) {
      fs.mkdirSync(folder, {recursive: true});
      // Others have their turn.
      await new Promise(resolve => setImmediate(resolve));
    }
    fs.writeFileSync(path.join(folder, `f${i}`), texts[i % texts.length]!);
  }
}

/** The same as a committed work tree. */
export async function makeWorkTree(directory: string, count: number): Promise<void> {
  await makeTree(directory, count);
  const identity = ['-c', 'user.name=bench', '-c', 'user.email=bench@example.org'];
  for (const args of [['init', '-q'], ['add', '.'], [...identity, 'commit', '-qm', 'all']]) {
    const {status, stderr} = spawnSync('git', args, {cwd: directory, encoding: 'utf8'});
    if (status !== 0) throw new Error(`git ${args.join(' ')} failed: ${stderr}`);
  }
}
