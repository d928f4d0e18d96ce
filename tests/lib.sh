# tests/lib.sh: TAP for the system tests.  A test reads it first, says `plan N`, and ends by `finish`.
#
#   plan N                      how many tests
#   ok NAME CMD [ARG]...        passes if CMD succeeds; what it printed is shown if not
#   is NAME GOT WANT            passes if they are the same text
#   like NAME TEXT ERE          passes if a line of TEXT matches
#   skip NAME WHY
#   node [OPTION]... -- CMD     tools/node
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$top" || exit 1
tests_done=0 tests_failed=0

plan() { echo "1..$1"; }
pass() { tests_done=$((tests_done + 1)); echo "ok $tests_done - $1"; }
fail() {
	tests_done=$((tests_done + 1)) tests_failed=$((tests_failed + 1))
	echo "not ok $tests_done - $1"
	[ -z "${2:-}" ] || sed 's/^/#   /' <<<"$2"
}
skip() { tests_done=$((tests_done + 1)); echo "ok $tests_done - $1 # SKIP $2"; }
ok() {
	local name=$1 out; shift
	if out=$("$@" 2>&1); then pass "$name"; else fail "$name" "$out"; fi
}
is() { if [ "$2" = "$3" ]; then pass "$1"; else fail "$1" "got: $2
want: $3"; fi; }
like() { if grep -qE -- "$3" <<<"$2"; then pass "$1"; else fail "$1" "no line matches $3 in:
$2"; fi; }
node() { "$top/tools/node" "$@"; }
finish() { [ $tests_failed -eq 0 ]; exit; }
