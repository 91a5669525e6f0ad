#!/usr/bin/env bash
# Puts commands of Lakegate on the PATH of the steps that follow.
set -Ceuo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
# shellcheck source=actions/install.sh
source "$here/install.sh"

folder=""
for command in ${LAKEGATE_COMMANDS:-$LAKEGATE_ALL_COMMANDS}; do
  program="$(lakegate_program "lakegate-$command")"
  folder="$(dirname "$program")"
done
printf '%s\n' "$folder" >>"$GITHUB_PATH"
printf 'folder=%s\n' "$folder" >>"$GITHUB_OUTPUT"
