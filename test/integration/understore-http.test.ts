/** The under-store suite on nginx, with ranges and without. */
import {mkdir, mkdtemp, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {toBytes, type ByteString} from '#base/byte-string.ts';
import {connector} from '#connectors/http/connector.ts';
import {createHttp} from '#runtime/node/http/node-http.ts';
import {createNodeRuntime} from '#runtime/node/node-runtime.ts';
import {describeUnderStore} from '../conformance/understore.ts';
import {connectorEnvironment} from '../servers/environment.ts';
import {installNginx, startNginx} from '../servers/nginx.ts';
import {need} from '../servers/tools.ts';

const forms = {'with ranges': '', 'without ranges': 'max_ranges 0;', 'without ETags': 'etag off;'};

if ((await need('nginx', 'the http connector on nginx', installNginx)) !== undefined) {
  for (const [form, location] of Object.entries(forms)) {
    describeUnderStore(`http on nginx ${form}`, async () => {
      const root = await mkdtemp(path.join(tmpdir(), 'weir-http-'));
      await mkdir(path.join(root, 'base dir'));
      const server = (await startNginx('the http connector', {root, location}))!;
      return {
        store: await connector.open(`${server.url}/base%20dir`, {}, connectorEnvironment(createNodeRuntime(), createHttp())),
        seed: async (key: ByteString, bytes: Uint8Array) => {
          const directory = key.split('/').slice(0, -1).join('/') as ByteString;
          const below = (name: ByteString): Buffer => Buffer.concat([Buffer.from(`${root}/base dir/`), toBytes(name)]);
          await mkdir(below(directory), {recursive: true});
          await writeFile(below(key), bytes);
        },
        dispose: async () => {
          await server.stop();
          await rm(root, {recursive: true});
        },
      };
    });
  }
}
