#!/usr/bin/env bash
# Runs one command of Lakegate as a step: finds or fetches its binary, and
# becomes it.
set -Ceuo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
command="$1"
# shellcheck source=actions/install.sh
source "$here/install.sh"

# The embedded workspace is in the whole suite's binary only.
case "${LAKEGATE_LOCAL:-}" in
  true | TRUE | 1)
    program="$(lakegate_program lakegate)"
    cd "${LAKEGATE_WORKING_DIRECTORY:-.}"
    exec "$program" "$command"
    ;;
  *)
    program="$(lakegate_program "lakegate-$command")"
    cd "${LAKEGATE_WORKING_DIRECTORY:-.}"
    # The suite's own binary may be what was given.
    case "$(basename "$program")" in
      lakegate | lakegate.exe) exec "$program" "$command" ;;
      *) exec "$program" ;;
    esac
    ;;
esac
