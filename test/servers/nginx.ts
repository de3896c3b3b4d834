/** nginx over a folder, with sendfile: the rival of the bench, and a web server to mount by http://. */
import {mkdir, writeFile} from 'node:fs/promises';
import path from 'node:path';
import {answers, type Daemon, startDaemon} from './daemon.ts';
import {debianPackage, findProgram, need} from './tools.ts';

export interface NginxOptions {
  /** The folder that is served; must exist. */
  readonly root: string;
  /** Worker processes (default 1). */
  readonly workers?: number;
  /** Lines for the `location /` block, for example `max_ranges 0;`. */
  readonly location?: string;
}

export interface Nginx extends Daemon {
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
}

export async function installNginx(): Promise<string> {
  const found = await findProgram('nginx');
  if (found) return found;
  await debianPackage('nginx-light');
  const installed = await findProgram('nginx');
  if (!installed) throw new Error('the Debian package nginx-light has brought no nginx');
  return installed;
}

/** Undefined where nginx cannot be had (see `need`). Directory indexes are on. */
export async function startNginx(forWhat: string, options: NginxOptions): Promise<Nginx | undefined> {
  const program = await need('nginx', forWhat, installNginx);
  if (program === undefined) return undefined;
  const daemon = await startDaemon({
    name: 'nginx',
    command: async (port, directory) => {
      const kinds = ['body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
      await mkdir(path.join(directory, 'tmp'));
      const configuration = `
${process.getuid?.() === 0 ? 'user root;' : ''}
daemon off;
worker_processes ${options.workers ?? 1};
pid ${directory}/nginx.pid;
error_log ${directory}/error.log warn;
events { worker_connections 4096; }
http {
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000;
  ${kinds.map(kind => `${kind === 'body' ? 'client_body' : kind}_temp_path ${directory}/tmp/${kind};`).join('\n  ')}
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location / { root ${options.root}; autoindex on; ${options.location ?? ''} }
    location = /weir-ready { return 204; }
  }
}
`;
      const file = path.join(directory, 'nginx.conf');
      await writeFile(file, configuration);
      return {program, args: ['-p', directory, '-c', file]};
    },
    ready: port => answers(`http://127.0.0.1:${port}/weir-ready`, 204),
  });
  return {...daemon, url: `http://127.0.0.1:${daemon.port}`};
}
