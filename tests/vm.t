#!/bin/bash
# VMs on a real node: the tiny LX image created, looked at, changed, stopped, killed half-made,
# snapshotted, reprovisioned, sent and received, deleted.
. "$(dirname "$0")/lib.sh"
images tiny
on_node tests/vm.d/on-node.bash "$source_url" "$uuid_tiny"
finish
