// Reads pipelines as Azure's editor does, with our tasks added to its schema.
// node pipelines.mjs MODULES SCHEMA TASKS FILE…; each finding is a line.
import { createRequire } from 'node:module';
import fs from 'node:fs';
import path from 'node:path';

const [modules, schemaFile, tasks, ...files] = process.argv.slice(2);
const require = createRequire(path.join(path.resolve(modules), 'package.json'));
const { getLanguageService } = require('azure-pipelines-language-service');
const { parse } = require('azure-pipelines-language-service/lib/parser/yamlParser');
const { TextDocument } = require('vscode-languageserver-types');

const schema = JSON.parse(fs.readFileSync(schemaFile, 'utf8'));
const known = schema.definitions.task;
for (const name of fs.readdirSync(tasks)) {
  const file = path.join(tasks, name, 'task.json');
  if (!fs.existsSync(file)) continue;
  const task = JSON.parse(fs.readFileSync(file, 'utf8'));
  const called = `${task.name}@${task.version.Major}`;
  const inputs = {};
  const required = [];
  for (const input of task.inputs) {
    inputs[input.name] = { ignoreCase: 'key' };
    // A value may always be a variable.
    if (input.options) {
      inputs[input.name].anyOf = [
        { enum: Object.keys(input.options), ignoreCase: 'value' },
        { type: 'string', pattern: '^\\$' },
      ];
    }
    if (input.required) required.push(input.name);
  }
  known.properties.task.anyOf.unshift({ enum: [called], ignoreCase: 'value' });
  known.anyOf.unshift({
    properties: {
      task: { pattern: `^${called}$`, ignoreCase: 'value' },
      inputs: { properties: inputs, additionalProperties: false, required },
    },
    firstProperty: ['task'],
    required: required.length > 0 ? ['task', 'inputs'] : ['task'],
  });
}

const place = 'svc://schema';
const service = getLanguageService(
  async () => schema,
  [],
  async () => place,
  { resolveRelativePath: (relative) => relative },
  Promise,
);
service.configure({ validate: true });
let count = 0;
for (const file of files) {
  const document = TextDocument.create(`file://${path.resolve(file)}`, 'yaml', 1, fs.readFileSync(file, 'utf8'));
  const found = await service.doValidation(document, parse(document.getText()));
  for (const { message, range } of found) {
    console.log(`${file}:${range.start.line + 1}: ${message}`);
    count += 1;
  }
}
process.exit(count > 0 ? 1 : 0);
