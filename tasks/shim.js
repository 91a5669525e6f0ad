// An Azure DevOps task of Lakegate: hands the inputs to the binary as variables,
// passes signals on, and maps its exit code to the task's result. It knows
// nothing of any command but what stands in inputs.json beside it.
'use strict';

const { spawn } = require('node:child_process');
const crypto = require('node:crypto');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const escape = (text) =>
  String(text).replace(/%/g, '%AZP25').replace(/\r/g, '%0D').replace(/\n/g, '%0A');

function say(command, properties, message) {
  const told = properties ? ` ${properties}` : '';
  process.stdout.write(`##vso[${command}${told}]${escape(message)}\n`);
}

function fail(message) {
  say('task.logissue', 'type=error', message);
  say('task.complete', 'result=Failed', message);
  process.exit(0);
}

// The agent's name for an input; blank counts as not given.
function given(name) {
  const value = process.env[`INPUT_${name.toUpperCase()}`];
  return value === undefined || value.trim() === '' ? undefined : value;
}

// The agent keeps its token out of the environment of scripts; a task has it.
function token() {
  return process.env.ENDPOINT_AUTH_PARAMETER_SYSTEMVSSCONNECTION_ACCESSTOKEN;
}

function platform() {
  const known = {
    'linux/x64': 'x86_64-unknown-linux-musl',
    'linux/arm64': 'aarch64-unknown-linux-musl',
    'darwin/x64': 'x86_64-apple-darwin',
    'darwin/arm64': 'aarch64-apple-darwin',
    'win32/x64': 'x86_64-pc-windows-msvc',
  };
  const found = known[`${process.platform}/${process.arch}`];
  if (!found) fail(`there is no binary for ${process.platform} on ${process.arch}: set binaryPath`);
  return found;
}

// The binary of this task, where it can be run: a package keeps no file modes.
function program(command) {
  const ending = process.platform === 'win32' ? '.exe' : '';
  const own = given('binaryPath');
  if (own) {
    const file = fs.existsSync(own) && fs.statSync(own).isDirectory()
      ? path.join(own, `lakegate-${command}${ending}`)
      : own;
    if (!fs.existsSync(file)) fail(`binaryPath: '${file}' is not there`);
    return file;
  }
  const packed = path.join(__dirname, 'bin', platform(), `lakegate-${command}${ending}`);
  if (!fs.existsSync(packed)) fail(`this task holds no binary for ${platform()}: set binaryPath`);
  const bytes = fs.readFileSync(packed);
  const digest = crypto.createHash('sha256').update(bytes).digest('hex');
  const sums = fs.readFileSync(path.join(__dirname, 'checksums.txt'), 'utf8').split('\n');
  const name = `${platform()}/${path.basename(packed)}`;
  if (!sums.includes(`${digest}  ${name}`)) fail(`'${name}' is not the binary that was released`);
  const folder = fs.mkdtempSync(path.join(process.env.AGENT_TEMPDIRECTORY || os.tmpdir(), 'lakegate-'));
  const file = path.join(folder, path.basename(packed));
  fs.writeFileSync(file, bytes, { mode: 0o755 });
  fs.chmodSync(file, 0o755);
  return file;
}

function environment(inputs) {
  const env = {};
  for (const [name, value] of Object.entries(process.env)) {
    // Inputs travel by their own names; an endpoint's secrets do not travel.
    if (!/^(INPUT_|ENDPOINT_|SECRET_)/.test(name)) env[name] = value;
  }
  for (const [name, variable] of Object.entries(inputs)) {
    const value = given(name);
    // An unticked box is what the command does anyhow; it must not overrule a variable.
    if (value !== undefined && value !== 'false') env[variable] = value;
  }
  if (!env.SYSTEM_ACCESSTOKEN && token()) env.SYSTEM_ACCESSTOKEN = token();
  return env;
}

const MEANING = {
  1: 'the verdict is a fail',
  2: 'wrong inputs, files or names',
  3: 'inconclusive: the data did not suffice',
  4: 'conflict: somebody else changed the same thing',
  5: 'a deadline passed',
  6: 'the other side failed after retries',
  7: 'a digest or a read-back does not match',
  130: 'cancelled',
  143: 'cancelled',
};

function main() {
  const { command, inputs } = JSON.parse(
    fs.readFileSync(path.join(__dirname, 'inputs.json'), 'utf8'),
  );
  const cwd = given('workingDirectory') || process.cwd();
  if (!fs.existsSync(cwd)) fail(`workingDirectory: '${cwd}' is not there`);
  const child = spawn(program(command), [], { cwd, env: environment(inputs), stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => fail(`lakegate-${command} could not be started: ${error.message}`));
  child.on('exit', (code, signal) => {
    if (code === 0) {
      say('task.complete', 'result=Succeeded', '');
    } else {
      const why = signal ? `ended by ${signal}` : MEANING[code] || `exit code ${code}`;
      say('task.complete', 'result=Failed', `lakegate ${command}: ${why}`);
    }
  });
}

main();
