#!/usr/bin/env bash
# Puts commands of Lakegate on the PATH of the steps that follow.
set -Ceuo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
# shellcheck source=actions/install.sh
source "$here/install.sh"

folder="${RUNNER_TEMP:-$(mktemp -d)}/lakegate-commands"
mkdir -p "$folder"
# A word is a command's name, and no pattern of files.
set -f
for command in ${LAKEGATE_COMMANDS:-$LAKEGATE_ALL_COMMANDS}; do
  case " $LAKEGATE_ALL_COMMANDS " in
    *" $command "*) ;;
    *) lakegate_fail "commands: there is no '$command' among $LAKEGATE_ALL_COMMANDS" ;;
  esac
  program="$(lakegate_program "lakegate-$command")"
  case "$(basename "$program")" in
    lakegate | lakegate.exe)
      # The suite's own binary, which is told the command.
      printf '#!/usr/bin/env bash\nexec %q %q "$@"\n' "$program" "$command" >|"$folder/lakegate-$command"
      chmod +x "$folder/lakegate-$command"
      ;;
    *) cp -f "$program" "$folder/" ;;
  esac
done
# On Windows, other shells do not know the paths of this one.
if command -v cygpath >/dev/null; then folder="$(cygpath -w "$folder")"; fi
printf '%s\n' "$folder" >>"$GITHUB_PATH"
printf 'folder=%s\n' "$folder" >>"$GITHUB_OUTPUT"
