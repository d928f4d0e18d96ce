#!/bin/bash
# DTrace on a node, with real load: each row of src/dtrace/testdata/node/*.rows is a program and what
# it must print.
. "$(dirname "$0")/lib.sh"
images tiny
on_node --put src/dtrace/testdata/node:/root/rows --put tests/dtrace.d/zones.bash:/root/zones.bash \
	tests/dtrace.d/on-node.bash "$source_url" "$uuid_tiny"
finish
