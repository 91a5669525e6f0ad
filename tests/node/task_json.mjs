// Prints what Microsoft's own tool finds in task.json before it uploads a task:
// task_json.mjs MODULES FILE...
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const [modules, ...files] = process.argv.slice(2);
const { validateTask } = createRequire(join(modules, 'x'))('tfx-cli/_build/lib/jsonvalidate');

for (const file of files) {
  for (const issue of validateTask(file, JSON.parse(readFileSync(file, 'utf8')))) {
    console.log(issue);
  }
}
