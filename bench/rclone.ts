/** A mount of rclone over a folder of the same disk, with a cache of its own, where rclone is installed: what many use for the files of a store. */
import {mkdir, stat} from 'node:fs/promises';
import path from 'node:path';
import {startDaemon} from '../test/servers/daemon.ts';
import {findProgram, toolsDirectory} from '../test/servers/tools.ts';

export interface RcloneMount extends AsyncDisposable {
  readonly directory: string;
}

/** Over `folder`; undefined where there is no rclone. Writes go to its cache first, as the programs of the rows need it, and to the folder behind. */
export async function startRclone(folder: string): Promise<RcloneMount | undefined> {
  const program = (await findProgram('rclone')) ?? (await findProgram('rclone', [path.join(toolsDirectory, 'python-more-clients/bin')]));
  if (program === undefined) return undefined;
  let directory = '';
  const daemon = await startDaemon({
    name: 'rclone',
    command: async (_, own) => {
      directory = path.join(own, 'mounted');
      await mkdir(directory);
      return {program, args: ['mount', folder, directory, '--config', '/dev/null', '--cache-dir', path.join(own, 'cache'), '--vfs-cache-mode', 'full']};
    },
    ready: async () => (await stat(directory)).dev !== (await stat(path.dirname(directory))).dev,
  });
  return {directory, [Symbol.asyncDispose]: () => daemon.stop()};
}
