#!/usr/bin/env bash
# Runs one command of Lakegate as a step: finds or fetches its binary, and
# becomes it.
set -Ceuo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
command="$1"
# shellcheck source=actions/install.sh
source "$here/install.sh"

# A parameter of a template that is true comes as `True`.
case "${LAKEGATE_LOCAL:-}" in [Tt]rue | TRUE) export LAKEGATE_LOCAL=true ;; esac

# The embedded workspace is in the whole suite's binary only.
case "${LAKEGATE_LOCAL:-}" in
  true)
    program="$(lakegate_program lakegate)"
    lakegate_enter
    exec "$program" "$command"
    ;;
  *)
    program="$(lakegate_program "lakegate-$command")"
    lakegate_enter
    # The suite's own binary may be what was given.
    case "$(basename "$program")" in
      lakegate | lakegate.exe) exec "$program" "$command" ;;
      *) exec "$program" ;;
    esac
    ;;
esac
