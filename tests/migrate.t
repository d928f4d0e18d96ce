#!/bin/bash
# A running guest moves from one node to another, through ssh as bhyvectl(8) has it; either end dies on the way.
# Kills at many moments, a cut cable and cancelling are in tests/guests.t, part migrate.
. "$(dirname "$0")/lib.sh"
[ "${ATOLL_IN_SYSROOT:-}" = 1 ] || exec tools/sysroot run "$0" "$@"
exec 2>"$top/build/migrate.log"
bench/vmm-boot/run --prepare >&2 || { echo 'Bail out! bench/vmm-boot/run --prepare failed (log: build/migrate.log)'; exit 1; }
key=${ATOLL_CACHE:-$HOME/.cache/atoll}/node/id_ed25519
trap 'node --stop migrate-left; node --stop migrate-right' EXIT
for side in left right; do
	node --keep migrate-$side --put build/nested/l2.bz:/root/l2.bz --put build/nested/l2.gz:/root/l2.gz --put "$key:/root/key" -- 'chmod 600 /root/key' >&2 ||
		{ echo 'Bail out! no node (log: build/migrate.log)'; exit 1; }
done
on() { node --keep "migrate-$1" -- "$2"; }
port() { cat "build/node/migrate-$1/port"; }
vm() { # SIDE NAME OPTION...: a bhyve there, in the background
	on "$1" "setsid bhyve -m 160 -l kernel,/root/l2.bz -l initrd,/root/l2.gz -l cmdline,'console=ttyS0 quiet panic=-1 do=tick' \
		-l com1,file,/root/$2.log -s 5,virtio-rnd ${*:3} $2 >/root/$2.err 2>&1 </dev/null &"
}
waits() { on "$1" 'rm -f /tmp/move.sock' && vm "$1" "$2" -r unix=/tmp/move.sock && on "$1" 'timeout 600 sh -c "until [ -S /tmp/move.sock ]; do sleep 0.2; done"'; }
ticks() { # SIDE NAME: it counts on, from now
	on "$1" "n=\$(grep -c TICK /root/$2.log); timeout 600 sh -c \"until [ \\\$(grep -c TICK /root/$2.log) -ge \$((n + 3)) ]; do sleep 0.5; done\""
}
move() { # FROM NAME TO; what it says
	on "$1" "bhyvectl migrate --downtime=5000 $2 -- ssh -i /root/key -p $(port "$3") -o StrictHostKeyChecking=no -o LogLevel=ERROR -W /tmp/move.sock root@10.0.2.2 2>&1"
}
# Until 8 MB were sent; then the connection stands still, so that it is half-way at whatever pace this machine goes on.
half() { on "$1" "timeout 600 sh -c 'until [ \"\$(bhyvectl migrate-status $2 2>/dev/null | sed -n \"s/.*\\\"bytes\\\": *\\([0-9]*\\).*/\\1/p\")\" -ge 8000000 ] 2>/dev/null; do :; done'; pkill -STOP -x ssh"; }
goes_on() { on "$1" 'pkill -CONT -x ssh'; }
gone() { on "$1" "timeout 600 sh -c 'while pgrep -fx \"bhyve .* $2\" >/dev/null; do sleep 0.5; done'"; }

vm left a
ok 'a guest counts on one node' ticks left a
waits right b
move left a right >build/migrate.out & moving=$!
half left a
on right 'pkill -9 bhyve'
goes_on left
not 'the other node is killed half-way: the command fails' wait $moving
ok '... and the guest counts on here' ticks left a
waits right b
out=$(move left a right); status=$?
[ $status = 0 ] && pass 'it moves' || fail 'it moves' "$out$(on right 'cat /root/b.err')"
has '... and says how long it stood still' "$out" downtime
ok '... is gone here' gone left a
ok '... and counts on there' ticks right b
# What it prints goes on here in the middle of a line, as it may.
is '... from where it was' "$({ on left 'cat /root/a.log'; on right 'cat /root/b.log'; } | tr '\r' ' ' | grep -o 'TICK [0-9]* ' |
	awk '$2 != ++n { print "after " n - 1 " comes " $2; exit }')" ''
waits left c
move right b left >build/migrate.out & moving=$!
half right b
on right 'pkill -9 -x bhyve'
goes_on right
wait $moving
ok 'the sender is killed half-way: the waiting end goes' gone left c
is '... and never ran' "$(on left 'grep -c TICK /root/c.log')" 0
plan $tests_done
finish
