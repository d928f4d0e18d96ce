#!/bin/bash
# DTrace on a node, with real load: each row of src/dtrace/testdata/node/*.rows is a program and what
# it must print.
. "$(dirname "$0")/lib.sh"
on_node --put src/dtrace/testdata/node:/root/rows tests/dtrace.d/on-node.bash
finish
