#!/usr/bin/env bash
# spark-submit.sh JOB [job's options] [Spark's options]: the one command of Cairn.
#
# This script finds a Python and hands over to lib/cairn/launch, which makes the environment when it is missing and
# starts the job. CAIRN_HOME says where the environment lies (else .cairn beside this file), CAIRN_PYTHON which Python
# makes it (else python3.13 ... python3.11, python3 on PATH), CAIRN_EXTRAS which extras it gets (s3, azure, gcs, notebook).
set -u

oldest="3, 11"
newest="3, 13"

# The repository, through any symbolic links to this file (readlink -f is not everywhere).
self=${BASH_SOURCE[0]}
while [ -L "$self" ]; do
  folder=$(cd -P "$(dirname "$self")" && pwd)
  self=$(readlink "$self")
  case $self in /*) ;; *) self=$folder/$self ;; esac
done
root=$(cd -P "$(dirname "$self")" && pwd)

suits() {
  "$1" -I -c "import sys; sys.exit(not ($oldest) <= sys.version_info[:2] <= ($newest))" </dev/null >/dev/null 2>&1
}

fail() {
  echo "[$1] $2" >&2
  exit 4
}

python=${CAIRN_PYTHON:-}
made=${CAIRN_HOME:-$root/.cairn}/python/bin/python
if [ -n "$python" ]; then
  suits "$python" || fail PYTHON_UNSUITABLE "The Python that CAIRN_PYTHON names ($python) does not run or is none of 3.11 to 3.13. Set CAIRN_PYTHON to one that is."
elif [ -x "$made" ]; then
  python=$made
else
  for name in python3.13 python3.12 python3.11 python3; do
    if command -v "$name" >/dev/null 2>&1 && suits "$name"; then
      python=$(command -v "$name")
      break
    fi
  done
  [ -n "$python" ] || fail PYTHON_MISSING "There is no Python 3.11, 3.12 or 3.13 on PATH. Install one of them, or set CAIRN_PYTHON to where it is."
fi

exec "$python" -I -B "$root/lib/cairn/launch" "$root" "$@"
