# Inside L1 (or, with RUN_HERE=1, on the metal): the same guest idles, reads a disk and answers pings under each VMM.
# Exits come from KVM's counters, system calls from a histogram of the kernel's tracer, by the name of the program.
# /b/todo says what is to be measured; DONE and the word say that it was.  What hangs is said and has no number.
t=/sys/kernel/tracing
mount -t tracefs trace $t 2>/dev/null
trigger=$t/events/raw_syscalls/sys_enter/trigger
[ -e $trigger ] || echo "NOTE no tracer: system calls are not counted"
calls() { # PROGRAM
	[ -e $trigger ] || { echo 0; return; }
	sed -n "s/.*common_pid: $1 .*hitcount: *\([0-9]*\).*/\1/p" $t/events/raw_syscalls/sys_enter/hist |
		{ n=0; while read -r c; do n=$((n + c)); done; echo $n; }
}
exits() { cat /sys/kernel/debug/kvm/exits; }
[ ! -e $trigger ] || echo 'hist:keys=common_pid.execname:size=2048' >$trigger
limit=${limit:-25} # seconds of the place's clock, a few times what anything takes
while :; do sleep 2; echo .; done & # whoever watches sees that the clock goes on
beat=$!
append="console=ttyS0 quiet panic=-1"
cat /b/l2.gz /b/io.gz >/tmp/initrd
bhyve="bhyve -m 256 -l kernel,/b/l2.bz -l initrd,/tmp/initrd -l com1,stdio"
q="/usr/bin/qemu-system-x86_64 -accel kvm -cpu host -m 256 -smp 1 -nodefaults -no-user-config -nographic -serial stdio -no-reboot -M q35 -bios qboot.rom -initrd /tmp/initrd"
disk=/dev/nullb0

# ---- what its console says is what is measured ----
watch() { # NAME PROGRAM DEPTH
	ended=
	while read -r word n us; do
		case $word in
		*IO-BEGIN*) e=$(exits) c=$(calls $2) ;;
		*IO-END*)
			us=${us%%[!0-9]*}
			echo "IO $1 $3 $n $(($(exits) - e)) $(($(calls $2) - c)) $us"
			ended=1
			;;
		*IDLE-BEGIN*) # three seconds in the middle: words on the console are exits, too
			sleep 1
			e=$(exits) c=$(calls $2)
			sleep 3
			e=$(($(exits) - e)) c=$(($(calls $2) - c))
			;;
		*IDLE-END*)
			us=${us%%[!0-9]*}
			echo "IDLE $1 3 $((us * 3 / n)) $e $c"
			ended=1
			;;
		esac
	done
	[ -n "$ended" ] || echo "HUNG $1 ${3:-}"
	[ -n "$ended" ]
}
idle() { # VMM
	case $1 in
	bhyve) timeout $limit $bhyve -l cmdline,"$append do=idle:5" vm | watch bhyve bhyve ;;
	qemu) timeout $limit $q -kernel "$(vmlinux)" -append "$append do=idle:5" </dev/null | watch qemu qemu-system-x86 ;;
	esac
}
# Linux as QEMU starts it fastest: the kernel that bhyve has decompressed.
vmlinux() {
	[ -n "$(ls /var/cache/bhyve)" ] || timeout $limit $bhyve -l cmdline,"$append" vm >/dev/null
	ls /var/cache/bhyve/vmlinux-* | head -1
}
blk() { # VMM DEVICE DEPTH
	n=${count:-40000}
	[ $3 != 1 ] || n=$((n / 10))
	a="$append do=io:$n:$3"
	case $1.$2 in
	bhyve.*) timeout $limit $bhyve -l cmdline,"$a" -s 4,$2,$disk,nocache vm | watch bhyve-$2 bhyve $3 ;;
	qemu.virtio-blk) qemu_blk virtio-blk-pci,drive=d,iothread=io $3 | watch qemu-virtio-blk qemu-system-x86 $3 ;;
	qemu.nvme) qemu_blk nvme,drive=d,serial=1 $3 | watch qemu-nvme qemu-system-x86 $3 ;;
	esac
}
qemu_blk() { # DEVICE-OPTIONS DEPTH
	timeout $limit $q -kernel "$(vmlinux)" -append "$a" -object iothread,id=io \
		-drive if=none,id=d,file=$disk,format=raw,cache=none,aio=native -device "$1" </dev/null
}
# Frames: the host pings the guest, through vhost-net and through the VMM's own thread.
net() { # VMM VHOST
	case $1.$2 in
	bhyve.vhost) start="$bhyve -s 4,virtio-net,tap0,vhost=true" ;;
	bhyve.own) start="$bhyve -s 4,virtio-net,tap0,vhost=false" ;;
	qemu.vhost) start="$q -netdev tap,id=n,ifname=tap0,script=no,downscript=no,vhost=on -device virtio-net-pci,netdev=n,romfile=" ;;
	qemu.own) start="$q -netdev tap,id=n,ifname=tap0,script=no,downscript=no,vhost=off -device virtio-net-pci,netdev=n,romfile=" ;;
	esac
	a="$append do=net"
	: >/tmp/net.log
	busybox tunctl -t tap0 >/dev/null
	ip addr add 10.9.9.1/24 dev tap0
	ip link set tap0 up
	case $1 in
	bhyve) p=bhyve; timeout $limit $start -l cmdline,"$a" vm >/tmp/net.log & ;;
	qemu) p=qemu-system-x86; timeout $limit $start -kernel "$(vmlinux)" -append "$a" >/tmp/net.log </dev/null & ;;
	esac
	i=0
	until grep -q "NET OK" /tmp/net.log || [ $((i += 1)) -gt 200 ]; do sleep 0.1; done
	e=$(exits) c=$(calls $p)
	n=$(ping -c 100 -i 0.01 10.9.9.2 | sed -n 's/.* \([0-9]*\) packets received.*/\1/p')
	echo "NET $1-$2 ${n:-0} $(($(exits) - e)) $(($(calls $p) - c))"
	kill $! 2>/dev/null # timeout, which passes it on
	wait $!
	busybox tunctl -d tap0 >/dev/null
	[ "${n:-0}" -ge 90 ] || { echo "HUNG $1-$2"; return 1; }
}
for word in $(cat /b/todo); do
	set -- $(echo $word | tr . ' ')
	"$@" && echo "DONE $word"
done
kill $beat
true
