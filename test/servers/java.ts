/** Java programs: the machine's Java (17 or later) and Maven, or Debian's; libraries from Maven Central into a folder outside the checkout. */
import {mkdir, readFile, rename, rm, writeFile} from 'node:fs/promises';
import path from 'node:path';
import {command, debianPackage, findProgram, installing, toolsDirectory} from './tools.ts';

/** The program, from a Debian package where it is not there. */
async function program(name: string, debian: string): Promise<string> {
  const found = await findProgram(name);
  if (found) return found;
  await debianPackage(debian);
  const installed = await findProgram(name);
  if (!installed) throw new Error(`the Debian package ${debian} has brought no ${name}`);
  return installed;
}

/** A Java that also compiles. */
export const java = (): Promise<string> => program('java', 'openjdk-17-jdk-headless');

export interface Artifact {
  /** `group:artifact:version`. */
  readonly name: string;
  /** Nothing that it depends on. */
  readonly alone?: boolean;
}

/** The folder of these libraries and of what they depend on. */
export async function mavenJars(name: string, artifacts: readonly Artifact[]): Promise<string> {
  const directory = path.join(toolsDirectory, `java-${name}`);
  const dependencies = artifacts.map(({name: artifact, alone}) => {
    const [group, id, version] = artifact.split(':');
    const exclusions = alone ? '<exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions>' : '';
    return `<dependency><groupId>${group}</groupId><artifactId>${id}</artifactId><version>${version}</version>${exclusions}</dependency>`;
  });
  const project = '<groupId>weir</groupId><artifactId>clients</artifactId><version>1</version><packaging>pom</packaging>';
  const pom = `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>${project}<dependencies>${dependencies.join('')}</dependencies></project>\n`;
  const stamp = path.join(directory, 'pom.xml');
  const isThere = async (): Promise<boolean> => (await readFile(stamp, 'utf8').catch(() => '')) === pom;
  if (await isThere()) return directory;
  return await installing(`java-${name}`, async () => {
    if (await isThere()) return directory;
    const maven = await program('mvn', 'maven');
    const staging = `${directory}.new`;
    await rm(staging, {recursive: true, force: true});
    await mkdir(staging, {recursive: true});
    await writeFile(path.join(staging, 'pom.xml'), pom);
    await command(maven, ['-B', '-q', '-f', path.join(staging, 'pom.xml'), 'dependency:copy-dependencies', `-DoutputDirectory=${staging}`]);
    await rm(directory, {recursive: true, force: true});
    await rename(staging, directory);
    return directory;
  });
}
