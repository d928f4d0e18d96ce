# tests/lib.sh: TAP for the system tests.  A test reads it first, says `plan N`, and ends by `finish`.
#
#   plan N                      how many tests
#   ok, is, like ...            the checks of tests/checks.bash
#   skip NAME WHY
#   node [OPTION]... -- CMD     tools/node
#   serve CMD [ARG]...          a server in the background, on a port that is free; @ in ARG is the port.  Sets port
#                               and server (its process), and it has bound the port
#   images NAME...              builds images and serves them; sets source_url, and uuid_NAME for each
#   on_node [OPTION]... SCRIPT [ARG]...
#                               runs SCRIPT on one node and takes over the results it prints
#                               (tests/checks.bash); then no plan is said here
#   take_over SCRIPT OUTPUT     takes over the results of a script that ran elsewhere
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$top" || exit 1
tests_done=0 tests_failed=0
. tests/checks.bash

plan() { echo "1..$1"; }
pass() { tests_done=$((tests_done + 1)); echo "ok $tests_done - $1"; }
fail() {
	tests_done=$((tests_done + 1)) tests_failed=$((tests_failed + 1))
	echo "not ok $tests_done - $1"
	[ -z "${2:-}" ] || sed 's/^/#   /' <<<"$2"
}
skip() { tests_done=$((tests_done + 1)); echo "ok $tests_done - $1 # SKIP $2"; }
node() { "$top/tools/node" "$@"; }
serve() {
	local i
	# Below those that the kernel gives away, and not another's.
	for ((i = 0; i < 100; i++)); do
		port=$((20000 + RANDOM % 12000))
		! listens || continue
		"${@//@/$port}" >/dev/null 2>&1 &
		server=$!
		while kill -0 $server 2>/dev/null; do
			! listens || return 0
			sleep 0.1
		done
	done
	echo 'Bail out! no server'
	exit 1
}
listens() { (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; }
images() {
	local name log
	# A tree of its own: tests run side by side, and a build replaces its tree.
	export IMAGES_TREE=$top/build/images.$(basename "$0" .t)
	log=$IMAGES_TREE.log
	tools/images build "$@" >"$log" 2>&1 || { echo "Bail out! tools/images failed ($log)"; exit 1; }
	for name in "$@"; do printf -v "uuid_$name" %s "$(jq -r .uuid "$IMAGES_TREE/$name.imgmanifest")"; done
	serve tools/images serve @
	trap "kill $server" EXIT
	source_url=http://10.0.2.2:$port
}
on_node() {
	local options=() out
	while [[ $1 == --* ]]; do options+=("$1" "$2"); shift 2; done
	out=$(node "${options[@]}" --put tests/checks.bash:/root/checks.bash --put "$1:/root/test.bash" -- "bash /root/test.bash ${*:2}" 2>"build/${1//\//-}.log")
	take_over "$1" "$out"
	plan $tests_done
}
take_over() {
	local line
	while IFS= read -r line; do
		case $line in
		'ok - '*) pass "${line#ok - }" ;;
		'not ok - '*) fail "${line#not ok - }" ;;
		'#'*) echo "$line" ;;
		esac
	done <<<"$2"
	is "$1 got to its end" "${2##*$'\n'}" end
}
finish() { [ $tests_failed -eq 0 ]; exit; }
