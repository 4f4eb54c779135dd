// Plain JavaScript that any Node can run: the sources are TypeScript and need a Node that strips types.
'use strict';
const [major, minor] = process.versions.node.split('.').map(Number);
if (major > 22 || (major === 22 && minor >= 19)) process.exit(0);
process.stderr.write(
  `Dailies runs its TypeScript sources directly and needs Node 22.19 or newer; this is Node ${process.versions.node} (${process.execPath}).\n` +
    'The project pins a suitable Node as an npm package. It is missing, most likely because the install scripts were skipped.\n' +
    'Get it with either of:\n' +
    '  npm rebuild node --ignore-scripts=false    (adds the pinned Node to node_modules/.bin, where every npm script finds it)\n' +
    '  npm ci --ignore-scripts=false              (installs everything again)\n' +
    'or install Node 24 yourself and run the command again.\n',
);
process.exit(1);
