#!/bin/bash
# What the image may take: 160 MiB of ISO, 256 MiB of memory at the login prompt with no zones.
. "$(dirname "$0")/lib.sh"
plan 3
iso=$(stat -c %s build/image/atoll-*.iso)
ok "the ISO has $((iso >> 20)) MiB of at most 160" [ "$iso" -le $((160 << 20)) ]
# Memory that is neither free nor given back on demand; the image itself counts (Shmem).
out=$(node -- 'awk "{ v[\$1] = \$2 }
END { printf \"%d\\n\", (v[\"MemTotal:\"] - v[\"MemFree:\"] - v[\"Buffers:\"] - v[\"Cached:\"] + v[\"Shmem:\"] - v[\"SReclaimable:\"]) / 1024 }" /proc/meminfo' 2>/dev/null)
ok "$out MiB of memory in use of at most 256" [ "${out:-999}" -le 256 ]
# The same commit gives the same bytes.
stamp=$(sed 's/^\(....\)\(..\)\(..\)T\(..\)\(..\)\(..\)Z$/\1-\2-\3 \4:\5:\6/' build/image/stamp)
SOURCE_DATE_EPOCH=$(date -u -d "$stamp" +%s)
export SOURCE_DATE_EPOCH
was=$(sha256sum <build/image/boot_archive)
tools/image archive >/dev/null 2>&1
is 'the boot archive built again has the same bytes' "$(sha256sum <build/image/boot_archive)" "$was"
finish
