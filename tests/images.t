#!/bin/bash
# Images: installed, listed, refused, cut short, fetched from a source; all on real ZFS.
. "$(dirname "$0")/lib.sh"
tools/images build tiny >build/images.log 2>&1 || { echo "Bail out! tools/images failed (build/images.log)"; exit 1; }
tiny=$(jq -r .uuid build/images/tiny.imgmanifest)
port=$((20000 + $$ % 20000))
tools/images serve "$port" >/dev/null 2>&1 &
server=$!
trap 'kill $server' EXIT
out=$(node --put tests/images.d/on-node.bash:/root/test.bash -- \
	"bash /root/test.bash http://10.0.2.2:$port $tiny" 2>build/images-node.log)
n=0
while IFS= read -r line; do
	case $line in
	'ok - '*) n=$((n + 1)); echo "ok $n ${line#ok }" ;;
	'not ok - '*) n=$((n + 1)); tests_failed=1; echo "not ok $n ${line#not ok }" ;;
	'#'*) echo "$line" ;;
	esac
done <<<"$out"
# The last line says that the script got there.
n=$((n + 1))
if [ "${out##*$'\n'}" = end ]; then echo "ok $n - to the end"; else echo "not ok $n - to the end"; tests_failed=1; fi
echo "1..$n"
finish
