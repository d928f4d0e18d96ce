#!/bin/bash
# Zones and machines together, as an operator meets them: a Debian with systemd, a KVM guest, VNICs between
# them, addresses that are not theirs, daemons that die, a node that restarts.
. "$(dirname "$0")/lib.sh"
images tiny lx hvm
on_node --mem 3072 tests/zones.d/on-node.bash "$source_url" "$uuid_tiny" "$uuid_lx" "$uuid_hvm"
finish
