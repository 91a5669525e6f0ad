// Runs a packed task as Microsoft's own test runner does: task.mjs MODULES FOLDER
// INPUTS, where the inputs are JSON. Its last line is what the runner made of it.
import { createRequire } from 'node:module';
import { join } from 'node:path';

const [modules, folder, inputs] = process.argv.slice(2);
const require = createRequire(join(modules, 'x'));
const { _getVariableKey } = require('azure-pipelines-task-lib/internal');
const { MockTestRunner } = require('azure-pipelines-task-lib/mock-test');

for (const [name, value] of Object.entries(JSON.parse(inputs))) {
  process.env[`INPUT_${_getVariableKey(name)}`] = value;
}
const runner = new MockTestRunner(join(folder, 'shim.js'), join(folder, 'task.json'));
// It would fetch a Node of its own.
runner.nodePath = process.execPath;
await runner.runAsync();
const { succeeded, stdout, stderr } = runner;
console.log(JSON.stringify({ succeeded, stdout, stderr }));
