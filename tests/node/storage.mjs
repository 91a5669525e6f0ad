// An emulated storage account with a folder in it. Prints its endpoint and a
// signature that may read, and ends with its standard input.
import { spawn } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { dirname, join, relative } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const [modules, folder, prefix] = process.argv.slice(2);
const require = createRequire(join(modules, "any.js"));
const {
  BlobServiceClient,
  ContainerSASPermissions,
  StorageSharedKeyCredential,
  generateBlobSASQueryParameters,
} = require("@azure/storage-blob");

const ACCOUNT = "devstoreaccount1";
const KEY = Buffer.from("a key of this test alone").toString("base64");

const port = await new Promise((resolve) => {
  const server = createServer().listen(0, "127.0.0.1", () => {
    const { port } = server.address();
    server.close(() => resolve(port));
  });
});
const emulator = spawn(
  process.execPath,
  [
    join(dirname(require.resolve("azurite/package.json")), "dist/src/blob/main.js"),
    "--blobHost=127.0.0.1",
    `--blobPort=${port}`,
    "--inMemoryPersistence",
    "--silent",
    "--skipApiVersionCheck",
    "--disableTelemetry",
  ],
  { stdio: "ignore", env: { ...process.env, AZURITE_ACCOUNTS: `${ACCOUNT}:${KEY}` } },
);
process.stdin.resume().on("end", () => {
  emulator.kill();
  process.exit();
});

const endpoint = `http://127.0.0.1:${port}/${ACCOUNT}`;
const credential = new StorageSharedKeyCredential(ACCOUNT, KEY);
const container = new BlobServiceClient(endpoint, credential).getContainerClient("lake");
for (let tries = 0; ; tries++) {
  try {
    await container.create();
    break;
  } catch (error) {
    if (tries === 100) throw error;
    await sleep(100);
  }
}
for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile()) continue;
  const path = join(entry.parentPath ?? entry.path, entry.name);
  const blob = container.getBlockBlobClient(`${prefix}/${relative(folder, path)}`);
  await blob.uploadData(await readFile(path));
}
const signature = generateBlobSASQueryParameters(
  {
    containerName: "lake",
    permissions: ContainerSASPermissions.parse("rl"),
    expiresOn: new Date(Date.now() + 3_600_000),
  },
  credential,
);
console.log(`${endpoint} ${signature}`);
