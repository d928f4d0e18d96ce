#!/bin/bash
# Images: installed, listed, refused, cut short, fetched from a source; all on real ZFS.
. "$(dirname "$0")/lib.sh"
images tiny
on_node tests/images.d/on-node.bash "$source_url" "$uuid_tiny"
finish
