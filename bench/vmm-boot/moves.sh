# Inside L1 (`run moves.sh`): a running Linux goes into a file and out of it, and from one bhyve to another.
ip link set lo up
rm -f /tmp/*.log
b="/bin/bhyve -m 256 -o memory.thp=false -l kernel,/b/l2.bz -l initrd,/b/l2.gz -s 3,virtio-rnd"
say() { echo "MOVES $*"; }
last() { tail -1 /tmp/$1.log | tr -d '\r' | cut -d' ' -f2; }
ticks() { # NAME N: waits until it ticked that far
	n=0
	until [ "$(last $1)" -ge $2 ] 2>/dev/null; do
		sleep 1; n=$((n + 1))
		[ $n -lt 60 ] || { say "$1 does not tick"; cat /tmp/$1.log; exit 1; }
	done
}
$b -l com1,file,/tmp/a.log -l cmdline,"console=ttyS0 quiet panic=-1 do=tick" a & pa=$!
ticks a 3
bhyvectl status a
bhyvectl snapshot a /tmp/snap || exit 1
at=$(last a)
ticks a $((at + 2))
bhyvectl suspend a /tmp/snap2 || exit 1
wait $pa; say "suspend ended it: $?"
at=$(last a)
ls -ls /tmp/snap /tmp/snap2
probe restore "TICK" /bin/bhyve -r /tmp/snap2 -o lpc.com1.path=stdio r & pr=$!
/bin/bhyve -r /tmp/snap2 -o lpc.com1.path=file,/tmp/b.log b & pb=$!
ticks b $((at + 3))
say "restored at $at, ticks $(last b)"
bhyvectl poweroff r; wait $pr
$b -r tcp=127.0.0.1:7000 -l com1,file,/tmp/c.log c & pc=$!
sleep 0.5
bhyvectl migrate b 127.0.0.1:7000 || exit 1
wait $pb; say "migrate ended it: $?"
at=$(last b)
ticks c $((at + 3))
say "migrated at $at, ticks $(last c)"
# Nobody there: it stays.
bhyvectl migrate c 127.0.0.1:7001 && exit 1
ticks c $((at + 6))
# The other side dies in the middle.
$b -r tcp=127.0.0.1:7002 -l com1,file,/tmp/d.log d & pd=$!
sleep 0.5
bhyvectl migrate c 127.0.0.1:7002 & pm=$!
sleep 0.05; kill -9 $pd; wait $pm && say "it had gone already"
at=$(last c)
ticks c $((at + 3))
say "stays at $at, ticks $(last c)"
bhyvectl reset c; wait $pc; say "reset: $?"
