#!/bin/bash
# DTrace on a node, with real load: each row of src/dtrace/testdata/node/*.rows is a program and what
# it must print.
. "$(dirname "$0")/lib.sh"
images tiny
obj=${ATOLL_IMAGE_OBJ:-build/release}
tools/image archive >/dev/null 2>&1 && tools/sysroot run ninja -C "$obj" src/dtrace/dtrace-victim-usdt src/dtrace/dtrace-victim-stack src/dtrace/dtrace-provoke >/dev/null
on_node --put "$obj/src/dtrace/dtrace-victim-usdt:/root/victim-usdt" --put "$obj/src/dtrace/dtrace-victim-stack:/root/victim-stack" --put "$obj/src/dtrace/dtrace-provoke:/root/provoke" \
	--put src/dtrace/testdata/node:/root/rows --put tests/dtrace.d/zones.bash:/root/zones.bash \
	tests/dtrace.d/on-node.bash "$source_url" "$uuid_tiny"
finish
