// Reads workflows by GitHub's own grammar. node workflows.mjs MODULES FILE…; each finding is a line.
import { createRequire } from 'node:module';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

const [modules, ...files] = process.argv.slice(2);
const home = path.resolve(modules);
const require = createRequire(path.join(home, 'package.json'));

// The package imports JSON as only bundlers take it.
const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'workflows-'));
const bundle = path.join(scratch, 'parser.cjs');
await require('esbuild').build({
  stdin: { contents: 'export * from "@actions/workflow-parser";', resolveDir: home },
  bundle: true,
  format: 'cjs',
  platform: 'node',
  outfile: bundle,
  logLevel: 'error',
});
const { parseWorkflow, convertWorkflowTemplate, NoOperationTraceWriter } = require(bundle);
fs.rmSync(scratch, { recursive: true });

let count = 0;
for (const file of files) {
  const told = (message) => {
    count += 1;
    console.log(`${file}: ${message}`);
  };
  const name = path.basename(file);
  const parsed = parseWorkflow(
    { name, content: fs.readFileSync(file, 'utf8') },
    new NoOperationTraceWriter(),
  );
  if (parsed.value) await convertWorkflowTemplate(parsed.context, parsed.value);
  for (const error of parsed.context.errors.getErrors()) told(error.message);
}
process.exit(count === 0 ? 0 : 1);
