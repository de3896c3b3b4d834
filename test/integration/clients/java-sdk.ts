import path from 'node:path';
import {java, mavenJars} from '../../servers/java.ts';
import {need} from '../../servers/tools.ts';
import type {Client} from './client.ts';
import {Driver} from './driver.ts';
import {notDeletedTogether} from './names.ts';
import {clientEnvironment, driverSession} from './python.ts';

export const javaSdk: Client = {
  name: 'java-sdk',
  version: '2.42.0',
  cannot: [notDeletedTogether],
  start: access =>
    need('Java with the AWS SDK', 'stock clients', async () => {
      const [program, jars] = [await java(), await mavenJars('aws-sdk', [{name: 'software.amazon.awssdk:s3:2.42.0'}])];
      return await driverSession(new Driver(program, ['-cp', `${jars}/*`, path.join(import.meta.dirname, 'JavaSdk.java')], clientEnvironment(access)));
    }),
};
