/** Clients that people use, from PyPI, pinned: boto3, the AWS command line, DuckDB with httpfs, pyarrow; and the TPC-H generator. */
import {readdir} from 'node:fs/promises';
import path from 'node:path';
import {command, need, pythonVenv} from './tools.ts';

const requirements = ['awscli==1.46.3', 'boto3==1.44.5', 'duckdb==1.5.5', 'duckdb-extension-httpfs==1.5.5', 'pyarrow==26.0.1', 'tpchgen-cli==4.0.0'];

export interface PythonClients {
  /** The interpreter that has the packages. */
  readonly python: string;
  /** The AWS command line. */
  readonly aws: string;
  readonly tpchgen: string;
  /** For DuckDB, which must not download it: `LOAD '<this>'`. */
  readonly httpfsExtension: string;
  /** Runs a Python program; what it printed. Proxies and AWS settings of this machine are kept away from it. */
  readonly run: (program: string, env?: Record<string, string>) => Promise<string>;
}

/** Variables that would lead clients somewhere else; botocore takes an empty AWS_PROFILE for the name of one. */
export const neutralEnvironment = {AWS_EC2_METADATA_DISABLED: 'true', AWS_CONFIG_FILE: '/dev/null', AWS_SHARED_CREDENTIALS_FILE: '/dev/null', AWS_PROFILE: undefined, NO_PROXY: '*', no_proxy: '*'};

export async function pythonClients(forWhat: string): Promise<PythonClients | undefined> {
  return await need('Python with boto3, awscli, duckdb and pyarrow', forWhat, async () => {
    const venv = await pythonVenv('clients', requirements);
    const bin = path.join(venv, 'bin');
    const python = path.join(bin, 'python');
    const extensions = (await command(python, ['-c', 'import os, duckdb_extension_httpfs as e; print(os.path.dirname(e.__file__))'])).trim();
    const found = (await readdir(extensions, {recursive: true})).find(name => name.endsWith('httpfs.duckdb_extension'));
    if (found === undefined) throw new Error('the package duckdb-extension-httpfs has brought no extension');
    return {
      python,
      aws: path.join(bin, 'aws'),
      tpchgen: path.join(bin, 'tpchgen-cli'),
      httpfsExtension: path.join(extensions, found),
      run: (program, env = {}) => command(python, ['-c', program], {env: {...neutralEnvironment, ...env}}),
    };
  });
}
