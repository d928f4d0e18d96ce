#!/bin/bash
# What every command owes who types it: --help on standard output, a manual page, completion.
. "$(dirname "$0")/lib.sh"
programs=$(meson introspect build/release --installed | jq -r '.[]' | grep -E '^/(usr/)?s?bin/' | xargs -n1 basename | sort -u)
[ "$(wc -w <<<"$programs")" -gt 30 ] || { echo 'Bail out! no list of programs'; exit 1; }
on_node tests/commands.d/on-node.bash $programs
finish
