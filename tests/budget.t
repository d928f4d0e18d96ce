#!/bin/bash
# What the image may take: 160 MiB of ISO, 256 MiB of memory at the login prompt with no zones; and the monitor's text.
. "$(dirname "$0")/lib.sh"
plan 8
iso=$(stat -c %s build/image/atoll-*.iso)
ok "the ISO has $((iso >> 20)) MiB of at most 160" [ "$iso" -le $((160 << 20)) ]
# Memory that is neither free nor given back on demand; the image itself counts (Shmem).  What somebody takes for a moment (ssh,
# a program that a service runs) does not: the least of twenty seconds.
out=$(node -- 'for i in $(seq 20); do sleep 1; awk "{ v[\$1] = \$2 }
END { printf \"%d\\n\", (v[\"MemTotal:\"] - v[\"MemFree:\"] - v[\"Buffers:\"] - v[\"Cached:\"] + v[\"Shmem:\"] - v[\"SReclaimable:\"]) / 1024 }" /proc/meminfo; done | sort -n | head -1' 2>/dev/null)
ok "$out MiB of memory in use of at most 256" [ "${out:-999}" -le 256 ]
# DTrace with its library, tools, scripts and manual pages: no compiler is carried along.
out=$(node -- 'find /usr/sbin/dtrace /usr/sbin/lockstat /usr/sbin/plockstat /usr/sbin/intrstat /usr/lib/x86_64-linux-gnu/libdtrace.so* \
	/usr/lib/dtrace /usr/share/dtrace /usr/share/man -type f \( -path "*/man/*" -a ! -name "*dtrace*" -a ! -name "*stat.8*" -o -printf "%s\n" \) |
	awk "{ n += \$1 } END { printf \"%d\\n\", n / 1024 }"' 2>/dev/null)
ok "dtrace takes $out KiB installed of at most 5120" [ "${out:-0}" -gt 1000 -a "${out:-9999}" -le 5120 ]
# bhyve(8) is to be read: without comments, blank lines, tests and fuzzers.
out=$(find src/vmm -name '*.[ch]' ! -name '*_test.*' ! -name 'fuzz_*' |
	xargs perl -0777 -ne 's{/\*.*?\*/}{}gs; s{//.*}{}g; $n += () = /\S.*\n/g; END { print $n }')
ok "src/vmm has $out lines of code of at most 20000" [ "${out:-0}" -gt 1000 -a "${out:-99999}" -le 20000 ]
is 'no device has more than 1000 lines' "$(wc -l src/vmm/dev/*.c src/vmm/isa/*.c | awk '$2 != "total" && $1 > 1000')" ''
# The same commit gives the same bytes.
stamp=$(sed 's/^\(....\)\(..\)\(..\)T\(..\)\(..\)\(..\)Z$/\1-\2-\3 \4:\5:\6/' build/image/stamp)
SOURCE_DATE_EPOCH=$(date -u -d "$stamp" +%s)
export SOURCE_DATE_EPOCH
export ATOLL_IMAGE_OUT=$top/build/image.budget
rm -rf "$ATOLL_IMAGE_OUT"
# What is killed, at whatever moment, does not get in the way of the next.
for i in 1 2 3; do timeout -s KILL $((RANDOM % 5 + 1)) tools/image archive >/dev/null 2>&1; done
ok 'a build after builds that were killed succeeds' tools/image archive
is 'the boot archive built again has the same bytes' "$(sha256sum <"$ATOLL_IMAGE_OUT/boot_archive")" "$(sha256sum <build/image/boot_archive)"
is 'nothing is left of those that were killed' "$(cd "$ATOLL_IMAGE_OUT" && ls -d work.* 2>/dev/null)" ''
rm -rf "$ATOLL_IMAGE_OUT"
finish
