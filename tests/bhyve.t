#!/bin/bash
# Brand bhyve: a Debian of tools/images in our own monitor, nested under TCG, as an operator meets it.  The
# kernel is started directly: OVMF restores CR8 in its interrupt handlers, at which QEMU 10's TCG aborts when
# an interrupt is pending (an assertion of QEMU's; see docs/untested.md).
. "$(dirname "$0")/lib.sh"
images hvm
on_node --mem 3072 tests/bhyve.d/on-node.bash "$source_url" "$uuid_hvm"
finish
