// Serves a Worker in workerd as its wrangler.toml says, until its input ends, whose first line is options, in JSON: the
// house's keys are among them, and what a command is given anybody may see.
import { dirname, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { Miniflare } from 'miniflare';
import { unstable_getMiniflareWorkerOptions as workerOptions, unstable_readConfig as read } from 'wrangler';

const input = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const { value: options } = await input.next();
// That file, and another module than it names, if so; where cargo builds, if not in `target` beside it; where the objects' data is kept; what else the platform
// hands the Worker.
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
// Whoever started it closes its input, or is gone.
while (!(await input.next()).done);
await platform.dispose();
process.exit();
