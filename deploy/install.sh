#!/usr/bin/env bash
# Installs the programs below $PREFIX, without debug information, with completions and manual pages; or removes them.
#
#   install.sh install DIR    DIR has the programs
#   install.sh uninstall
set -euo pipefail
prefix=${DESTDIR:-}${PREFIX:-$HOME/.local}
programs=(entail entail-bench)
bash_completion=$prefix/share/bash-completion/completions/entail
zsh_completion=$prefix/share/zsh/site-functions/_entail
fish_completion=$prefix/share/fish/vendor_completions.d/entail.fish
man=$prefix/share/man/man1

# Writes the output of a command of the program; no file if the program does not know the command.
write() {
  local file=$1
  shift
  local text
  if text=$("$prefix/bin/entail" "$@" 2>/dev/null); then
    mkdir -p "$(dirname "$file")"
    printf '%s\n' "$text" >"$file"
  fi
}

case ${1:-} in
  install)
    from=${2:?the directory of the programs}
    mkdir -p "$prefix/bin"
    for program in "${programs[@]}"; do
      "${STRIP:-strip}" -o "$prefix/bin/.$program.new" "$from/$program"
      # Replaced by rename: a running program must not be overwritten.
      mv "$prefix/bin/.$program.new" "$prefix/bin/$program"
    done
    write "$bash_completion" completions bash
    write "$zsh_completion" completions zsh
    write "$fish_completion" completions fish
    if "$prefix/bin/entail" help man >/dev/null 2>&1; then
      mkdir -p "$man"
      "$prefix/bin/entail" man --dir "$man" >/dev/null
    fi
    echo "Installed ${programs[*]} in $prefix/bin"
    case :$PATH: in
      *:"$prefix/bin":*) ;;
      *) echo "$prefix/bin is not on the PATH: export PATH=$prefix/bin:\$PATH" ;;
    esac
    ;;
  uninstall)
    for program in "${programs[@]}"; do rm -f "$prefix/bin/$program"; done
    rm -f "$bash_completion" "$zsh_completion" "$fish_completion" "$man"/entail.1 "$man"/entail-*.1
    echo "Removed ${programs[*]} from $prefix/bin; data directories stay where they are"
    ;;
  *)
    echo "usage: install.sh install DIR | uninstall" >&2
    exit 2
    ;;
esac
