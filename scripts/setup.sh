# Sourced by the other scripts: a virtual environment in .venv with exactly the dependencies of $lock and Attune itself.
# Needs only Python 3.11 or newer and its pip. PYTHON=... chooses the interpreter.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

find_python() {
  local candidate
  for candidate in "${PYTHON:-}" python3 python3.14 python3.13 python3.12 python3.11 python; do
    if [ -n "$candidate" ] && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  echo "Attune needs Python 3.11 or newer; set PYTHON to its path." >&2
  return 1
}

stamp=.venv/installed
wanted=$(cat "$lock" pyproject.toml | cksum)
if ! grep -qxF "$wanted" "$stamp" 2>/dev/null; then
  python=$(find_python)
  echo "Setting up .venv with $("$python" --version) (once; a minute or so) ..." >&2
  "$python" -m venv .venv
  pip=(.venv/bin/python -m pip install --quiet --disable-pip-version-check)
  "${pip[@]}" --require-hashes -r "$lock"
  "${pip[@]}" --no-deps --no-build-isolation --editable .
  # the lock of the tests holds all of the other, in the same versions
  cat requirements.txt pyproject.toml | cksum >"$stamp"
  echo "$wanted" >>"$stamp"
fi
