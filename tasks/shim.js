// An Azure DevOps task of Lakegate: hands the inputs to the binary as variables,
// passes signals on, and maps its exit code to the task's result. It knows
// nothing of any command but what stands in inputs.json beside it.
'use strict';

const { spawn, spawnSync } = require('node:child_process');
const crypto = require('node:crypto');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const HOME = 'https://github.com/lakegate/lakegate/releases/download';
const ENDING = process.platform === 'win32' ? '.exe' : '';

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

// What a whole pipeline can be told by a variable, too.
function setting(name, variable) {
  return given(name) || (process.env[variable] || '').trim() || undefined;
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

function sha256(file) {
  return crypto.createHash('sha256').update(fs.readFileSync(file)).digest('hex');
}

function run(program, args, what) {
  const done = spawnSync(program, args, { env: proxied(process.env), encoding: 'utf8' });
  if (done.error || done.status !== 0) {
    fail(`${what}: ${(done.error && done.error.message) || (done.stderr || '').trim()}`);
  }
}

// The agent's proxy, as programs know one.
function proxied(env) {
  const { AGENT_PROXYURL: url, AGENT_PROXYUSERNAME: user, AGENT_PROXYPASSWORD: word } = env;
  if (!url || env.HTTPS_PROXY || env.https_proxy) return env;
  const proxy = new URL(url);
  if (user) Object.assign(proxy, { username: user, password: word || '' });
  // The agent's list is of patterns; those that are more than a name are left out.
  const around = JSON.parse(env.AGENT_PROXYBYPASSLIST || '[]')
    .map((rule) => rule.replace(/^\^?(\.\*)?|\$$/g, '').replace(/\\(.)/g, '$1'))
    .filter((name) => /^[\w.-]+$/.test(name));
  const known = [env.NO_PROXY || env.no_proxy, ...around].filter(Boolean).join(',');
  return { ...env, HTTPS_PROXY: proxy.href, ...(known ? { NO_PROXY: known } : {}) };
}

// Puts the released archive into a folder, if it is the one that this task knows.
function fetchArchive(archive, expected, file, version) {
  const from = setting('mirror', 'LAKEGATE_MIRROR') || `${HOME}/v${version}`;
  const loopback = /^http:\/\/(127\.0\.0\.1|localhost):/.test(from);
  if (from.startsWith('https://') || loopback) {
    const args = ['--fail', '--silent', '--show-error', '--location', '--proto', '=https,http'];
    args.push('--proto-redir', '=https', '--retry', '3', '--max-time', '300', '--output', file);
    run('curl', [...args, `${from}/${archive}`], `'${archive}' could not be fetched from ${from}`);
  } else if (from.includes('://')) {
    fail(`mirror: '${from}' is no https address`);
  } else {
    const there = path.join(from, archive);
    if (!fs.existsSync(there)) fail(`mirror: '${from}' holds no '${archive}'`);
    fs.copyFileSync(there, file);
  }
  const actual = sha256(file);
  if (actual !== expected) {
    fail(`'${archive}' has the sha256 ${actual}, this task expects ${expected}: nothing was run`);
  }
}

// The folder with a released binary. What other jobs may have written to is proved
// anew; only this job's own folder is believed.
function released(name, version) {
  const archive = `${name}-${version}-${platform()}.tar.gz`;
  const sums = fs.readFileSync(path.join(__dirname, 'checksums.txt'), 'utf8').split('\n');
  const line = sums.find((known) => known.endsWith(`  ${archive}`));
  if (!line) fail(`this task knows no released ${name} for ${platform()}: give its path as binaryPath`);
  const expected = line.split(' ')[0];
  const temporary = process.env.AGENT_TEMPDIRECTORY || os.tmpdir();
  const place = path.join(temporary, `lakegate-${version}-${expected}`);
  if (fs.existsSync(place)) return place;
  const work = fs.mkdtempSync(path.join(temporary, 'lakegate-'));
  const file = path.join(work, archive);
  const cache = path.join(process.env.AGENT_TOOLSDIRECTORY || work, 'lakegate', version);
  const kept = path.join(cache, archive);
  if (fs.existsSync(kept)) fs.copyFileSync(kept, file);
  if (!fs.existsSync(file) || sha256(file) !== expected) {
    fetchArchive(archive, expected, file, version);
    try {
      fs.mkdirSync(cache, { recursive: true });
      fs.copyFileSync(file, kept);
    } catch {
      // A cache that cannot be written to costs the next job a download.
    }
  }
  const unpacked = path.join(work, 'unpacked');
  fs.mkdirSync(unpacked);
  run('tar', ['-xzf', file, '-C', unpacked], `'${archive}' could not be unpacked`);
  try {
    fs.renameSync(unpacked, place);
  } catch (error) {
    // Another step came first: the bytes are the same.
    if (!fs.existsSync(place)) fail(`'${place}' could not be made: ${error.message}`);
  }
  return place;
}

function program(name, version) {
  const told = setting('binaryPath', 'LAKEGATE_BINARY_PATH');
  if (told) {
    // The command may run in another folder.
    const own = path.resolve(told);
    const inside = fs.existsSync(own) && fs.statSync(own).isDirectory();
    const file = inside ? path.join(own, `${name}${ENDING}`) : own;
    if (!fs.existsSync(file)) fail(`binaryPath: '${file}' is not there`);
    return file;
  }
  const file = path.join(released(name, version), `${name}${ENDING}`);
  if (!fs.existsSync(file)) fail(`the released archive holds no ${name}`);
  // A package keeps no file modes, and an archive may have been made without.
  if (ENDING === '') fs.chmodSync(file, 0o755);
  return file;
}

// How many letters have to change.
function distance(one, other) {
  let row = [...Array(other.length + 1).keys()];
  for (let i = 1; i <= one.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= other.length; j += 1) {
      const same = one[i - 1] === other[j - 1] ? 0 : 1;
      next.push(Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + same));
    }
    row = next;
  }
  return row[other.length];
}

// A slip in an input's name would leave its default in force, and nobody told. Variables
// of a pipeline may begin with INPUT_, too: what resembles no input is none.
function refuseUnknown(inputs) {
  const own = ['binaryPath', 'mirror', 'workingDirectory', 'serviceConnection'];
  const known = [...Object.keys(inputs), ...own];
  for (const variable of Object.keys(process.env)) {
    const name = variable.replace(/^INPUT_/, '');
    const same = (input) => input.toUpperCase() === name;
    if (name === variable || known.some(same) || given(name) === undefined) continue;
    const letters = (text) => [...text].sort().join('');
    const near = known.find((input) => {
      const steps = distance(input.toUpperCase(), name);
      // Two steps are two letters that changed places, or another word.
      return steps === 1 || (steps === 2 && letters(input.toUpperCase()) === letters(name));
    });
    if (near) fail(`the task has no input '${name.toLowerCase()}': did you mean '${near}'?`);
  }
}

function environment(inputs, flags) {
  const env = {};
  for (const [name, value] of Object.entries(process.env)) {
    // Inputs travel by their own names; an endpoint's secrets do not travel.
    if (!/^(INPUT_|ENDPOINT_|SECRET_)/.test(name)) env[name] = value;
    // A secret variable travels only if its name says that it is meant for a command.
    const secret = /^SECRET_((DATABRICKS|ARM|AZURE|LAKEGATE)_.+)$/.exec(name);
    if (secret && !process.env[secret[1]]) env[secret[1]] = value;
  }
  for (const [name, variable] of Object.entries(inputs)) {
    const value = given(name);
    // A parameter of a template that is true comes as `True`.
    if (value !== undefined) env[variable] = flags.includes(name) ? value.toLowerCase() : value;
  }
  const connection = given('serviceConnection');
  if (connection) env.LAKEGATE_SERVICE_CONNECTION = connection;
  if (!env.SYSTEM_ACCESSTOKEN && token()) env.SYSTEM_ACCESSTOKEN = token();
  return proxied(env);
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
  const { command, version, inputs, flags } = JSON.parse(
    fs.readFileSync(path.join(__dirname, 'inputs.json'), 'utf8'),
  );
  refuseUnknown(inputs);
  const cwd =
    given('workingDirectory') || process.env.LAKEGATE_WORKING_DIRECTORY || process.cwd();
  if (!fs.existsSync(cwd) || !fs.statSync(cwd).isDirectory()) {
    fail(`workingDirectory: '${cwd}' is no folder`);
  }
  // The embedded workspace is in the whole suite's binary only.
  const env = environment(inputs, flags);
  const local = /^(true|1)$/i.test(env.LAKEGATE_LOCAL || '');
  const file = program(local ? 'lakegate' : `lakegate-${command}`, version);
  const isSuite = path.basename(file, ENDING) === 'lakegate';
  const child = spawn(file, isSuite ? [command] : [], { cwd, env, stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => fail(`lakegate-${command} could not be started: ${error.message}`));
  child.on('exit', (code, signal) => {
    // The agent takes a good end for a success, but for the issues that were told.
    if (code === 0) return;
    const why = signal ? `ended by ${signal}` : MEANING[code] || `exit code ${code}`;
    say('task.complete', 'result=Failed', `lakegate ${command}: ${why}`);
  });
}

try {
  main();
} catch (error) {
  fail(error.message);
}
