/** The connectors that there are: scheme → code that is loaded when a mount of the scheme is first asked for. The only such list. */
import type {ConnectorLoader} from '#understore/registry.ts';

const s3: ConnectorLoader = () => import('#connectors/s3/connector.ts');
const web: ConnectorLoader = () => import('#connectors/http/connector.ts');

export const connectors: Readonly<Record<string, ConnectorLoader>> = {
  file: () => import('#connectors/file/connector.ts'),
  s3,
  s3a: s3,
  http: web,
  https: web,
};
