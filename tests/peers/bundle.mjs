// Bundles @moq/watch for the tests' page: `node bundle.mjs FOLDER`.
//
// watch.js is the published code. It speaks no draft 18 that others understand, for two reasons in @moq/net: 0.2, which
// @moq/watch asks for, sends SUBSCRIBER_PRIORITY as a variable-length integer, where the draft has one byte (Section
// 10.2.8); and neither 0.2 nor 0.3 reads LARGEST_OBJECT, a bare Location (Section 10.2.11), without a length before it.
// watch-mended.js has 0.3, and the second mended, so that all the rest of it can be tried.
import { readFile } from 'node:fs/promises';
import { build } from 'esbuild';

const [, , folder] = process.argv;
const LARGEST_OBJECT = `const size = await r.u53();
                    const [groupId, objectData] = Varint.decodeLeadingOnes(await r.read(size));
                    const [objectId, trailing] = Varint.decodeLeadingOnes(objectData);
                    if (trailing.length !== 0) {
                        throw new Error("trailing bytes in message parameter Location");
                    }`;
const MENDED = `const groupId = await r.u62();
                    const objectId = await r.u62();`;

const mend = {
  name: 'mend',
  setup: ({ onLoad }) =>
    onLoad({ filter: /moq-net-next\/ietf\/parameters\.js$/ }, async ({ path }) => {
      const code = await readFile(path, 'utf8');
      if (!code.includes(LARGEST_OBJECT)) throw new Error('there is nothing to mend in @moq/net: do without');
      return { contents: code.replace(LARGEST_OBJECT, MENDED) };
    }),
};

const options = { entryPoints: ['watch.js'], bundle: true, format: 'esm', logLevel: 'warning' };
await build({ ...options, outfile: `${folder}/watch.js` });
await build({ ...options, outfile: `${folder}/watch-mended.js`, alias: { '@moq/net': 'moq-net-next' }, plugins: [mend] });
