#!/usr/bin/env bash
# Runs one command of Lakegate as a step: finds or fetches its binary, and
# becomes it.
set -Ceuo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
command="$1"
# shellcheck source=actions/install.sh
source "$here/install.sh"

program="$(lakegate_program "$command")"
cd "${LAKEGATE_WORKING_DIRECTORY:-.}"
exec "$program"
