#!/bin/bash
# Brand bhyve: a Debian of tools/images in our own monitor, nested under TCG, as an operator meets it.  The
# kernel is started directly: OVMF would take minutes more.
. "$(dirname "$0")/lib.sh"
images hvm
on_node --mem 3072 tests/bhyve.d/on-node.bash "$source_url" "$uuid_hvm"
finish
