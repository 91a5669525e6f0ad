#!/usr/bin/env bash
# Packs the tasks into an extension: tasks/pack.sh FOLDER
# `tfx` (npm: tfx-cli) must be on the PATH.
set -Ceuo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
out="$(mkdir -p "$1" && cd "$1" && pwd)"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

cp -R "$here/." "$work"
rm -f "$work/pack.sh"
for task in "$work"/*/task.json; do
  folder="$(dirname "$task")"
  cp "$here/shim.js" "$here/../actions/checksums.txt" "$folder"
  cp "$here/icon.png" "$folder/icon.png"
done
rm "$work/shim.js"
cd "$work"
tfx extension create --no-prompt --manifest-globs vss-extension.json --output-path "$out"
