// Holds a server against GitHub's own description of its interface, and whoever calls it, too:
// described.mjs MODULES CACHE UPSTREAM starts a proxy that answers with an error where either
// differs, and prints its address.
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const PACKAGE = '@octokit/openapi@23.0.2';
const SHA256 = '71a18407dd5e8464f4e0525daf03deabbe65abd9287d6adc7b5d98f516cd0d0c';
const FILE = 'package/generated/api.github.com.json';
const USED = [
  '/actions/runs/{run_id}',
  '/actions/runs/{run_id}/approvals',
  '/actions/workflows/{workflow_id}/dispatches',
  '/commits/{commit_sha}/pulls',
  '/commits/{ref}',
  '/commits/{ref}/check-runs',
  '/commits/{ref}/status',
  '/environments/{environment_name}',
  '/git/ref/{ref}',
  '/git/refs',
  '/issues',
  '/issues/comments/{comment_id}',
  '/issues/{issue_number}',
  '/issues/{issue_number}/comments',
  '/pulls/{pull_number}/commits',
  '/releases',
  '/releases/assets/{asset_id}',
  '/releases/tags/{tag}',
  '/releases/{release_id}',
  '/releases/{release_id}/assets',
  '/statuses/{sha}',
]
  .map((path) => `/repos/{owner}/{repo}${path}`)
  .concat([
    '/orgs/{org}/teams/{team_slug}',
    '/orgs/{org}/teams/{team_slug}/memberships/{username}',
  ]);

const [modules, cache, upstream] = process.argv.slice(2);

function fetched() {
  const work = join(cache, 'openapi');
  mkdirSync(work, { recursive: true });
  const said = execFileSync('npm', ['pack', PACKAGE, '--silent', '--pack-destination', work]);
  const archive = join(work, said.toString().trim());
  const found = createHash('sha256').update(readFileSync(archive)).digest('hex');
  if (found !== SHA256) throw new Error(`${PACKAGE} has the sha256 ${found}`);
  execFileSync('tar', ['-xzf', archive, '-C', work, FILE]);
  const all = JSON.parse(readFileSync(join(work, FILE)));
  rmSync(work, { recursive: true });
  return all;
}

// The paths that are used, and what they refer to.
function part(all) {
  const paths = {};
  for (const path of USED) {
    if (!all.paths[path]) throw new Error(`${path} is not described`);
    paths[path] = all.paths[path];
  }
  // A name of git has slashes, which a path template cannot hold.
  const named = '/repos/{owner}/{repo}/git/ref/{ref}';
  for (const kind of ['tags/{ref}', 'heads/{ref}', 'heads/release/{ref}']) {
    paths[named.replace('{ref}', kind)] = paths[named];
  }
  const components = {};
  const visit = (value) => {
    if (Array.isArray(value)) return value.forEach(visit);
    if (value === null || typeof value !== 'object') return undefined;
    for (const [key, inner] of Object.entries(value)) {
      if (key !== '$ref') visit(inner);
      else {
        const [, , kind, name] = inner.split('/');
        if (components[kind]?.[name]) continue;
        (components[kind] ??= {})[name] = all.components[kind][name];
        visit(components[kind][name]);
      }
    }
    return undefined;
  };
  visit(paths);
  return { openapi: all.openapi, info: { title: 'GitHub', version: '1' }, paths, components };
}

// The server of the tests says less than GitHub, and never something else: fields may be
// missing from its answers, unknown ones may not be there.
function lenient(schema) {
  if (Array.isArray(schema)) return schema.map(lenient);
  if (schema === null || typeof schema !== 'object') return schema;
  const { required, example, examples, description, ...kept } = schema;
  const out = {};
  for (const [key, value] of Object.entries(kept)) {
    // Names of fields may be any, `required` too.
    out[key] =
      key === 'properties'
        ? Object.fromEntries(Object.entries(value).map(([name, of]) => [name, lenient(of)]))
        : lenient(value);
  }
  const whole = out.properties && !out.allOf && !out.anyOf && !out.oneOf;
  if (whole && out.additionalProperties === undefined) out.additionalProperties = false;
  return out;
}

function described() {
  const spec = part(fetched());
  for (const operations of Object.values(spec.paths)) {
    for (const operation of Object.values(operations)) {
      for (const answer of Object.values(operation.responses ?? {})) {
        for (const content of Object.values(answer.content ?? {})) content.schema = lenient(content.schema);
      }
    }
  }
  for (const [name, schema] of Object.entries(spec.components.schemas)) spec.components.schemas[name] = lenient(schema);
  for (const answer of Object.values(spec.components.responses ?? {})) {
    for (const content of Object.values(answer.content ?? {})) content.schema = lenient(content.schema);
  }
  return spec;
}

// Another list of paths is another file.
const key = createHash('sha256').update([SHA256, ...USED].join()).digest('hex');
const file = join(cache, `github-${key.slice(0, 12)}.json`);
if (!existsSync(file)) {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(`${file}.new`, JSON.stringify(described()));
  renameSync(`${file}.new`, file);
}
const port = await new Promise((resolve) => {
  const server = createServer().listen(0, '127.0.0.1', () => {
    const { port } = server.address();
    server.close(() => resolve(port));
  });
});
const manifest = createRequire(join(modules, 'x')).resolve('@stoplight/prism-cli/package.json');
const program = join(dirname(manifest), JSON.parse(readFileSync(manifest)).bin.prism);
const prism = spawn(
  process.execPath,
  [program, 'proxy', file, upstream, '--errors', '--host', '127.0.0.1', '--port', String(port)],
  { stdio: ['ignore', 'ignore', 'inherit'] },
);
prism.on('exit', (code) => process.exit(code ?? 1));
for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => prism.kill());
// Whoever started this is gone when its end of the pipe is.
process.stdin.resume().on('end', () => prism.kill());
const reached = () =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => resolve(true));
    socket.on('connect', () => socket.end()).on('error', () => resolve(false));
  });
while (!(await reached())) await new Promise((resolve) => setTimeout(resolve, 100));
console.log(`http://127.0.0.1:${port}`);
