// Serves a Worker in workerd by its wrangler.toml, until the input ends. The first line of the input is the options, in
// JSON: they include the private keys, and the arguments of a command are visible to every user of the machine.
import { dirname, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { Miniflare } from 'miniflare';
import { unstable_getMiniflareWorkerOptions as workerOptions, unstable_readConfig as read } from 'wrangler';

const input = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const { value: options } = await input.next();
// The options: the path of wrangler.toml; a module in place of the one that it names; cargo's target folder, if it is not
// `target` beside that file; the folder for the objects' data; the port; more bindings of the Worker.
const { config: file, main: other, target, data, port = 0, bindings } = JSON.parse(options);
const folder = dirname(file);
const beside = join(folder, 'target/');
const built = (path) => {
  const there = resolve(folder, path);
  return target && there.startsWith(beside) ? join(target, there.slice(beside.length)) : there;
};
const config = read({ config: file });
const main = other ?? built(config.main);
if (config.assets) config.assets.directory = built(config.assets.directory);
const platform = new Miniflare({
  name: config.name,
  host: '127.0.0.1',
  port,
  modules: true,
  modulesRoot: dirname(main),
  scriptPath: main,
  ...workerOptions(config).workerOptions,
  durableObjectsPersist: data,
  bindings: { ...config.vars, ...bindings },
  cf: false,
});
console.log(`ready ${(await platform.ready).port}`);
// The input ends when the parent process closes it or ends.
while (!(await input.next()).done);
await platform.dispose();
process.exit();
