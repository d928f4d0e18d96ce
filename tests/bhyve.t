#!/bin/bash
# Brand bhyve: a Debian of tools/images in our own monitor, nested under TCG, as an operator meets it: its kernel
# started directly, and by UEFI.
. "$(dirname "$0")/lib.sh"
images hvm
mkdir -p build/bhyve && echo 'the word' >build/bhyve/word
tools/sysroot run xorrisofs -quiet -o build/bhyve.iso build/bhyve || { echo 'Bail out! no CD'; exit 1; }
on_node --mem 3072 --put build/bhyve.iso:/root/cd.iso tests/bhyve.d/on-node.bash "$source_url" "$uuid_hvm"
finish
