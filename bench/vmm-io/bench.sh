# Inside L1: the same guest idles, pings and reads a device under each VMM.  Exits come from KVM's counters,
# system calls from a histogram of the kernel's tracer, by the name of the program.  What does not end (nested guests
# may hang under TCG, see tools/mend-qemu) is said and left behind: its time limit is a few times what it takes.
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
limit=${limit:-25}
append="console=ttyS0 quiet panic=-1"
cat /b/l2.gz /b/io.gz >/tmp/initrd
bhyve="bhyve -m 256 -l kernel,/b/l2.bz -l initrd,/tmp/initrd -l com1,stdio"
q="/usr/bin/qemu-system-x86_64 -accel kvm -cpu host -m 256 -smp 1 -nodefaults -no-user-config -nographic -serial stdio -no-reboot"
disk=/dev/nullb0
qemu_blk() { # DEVICE-OPTIONS
	timeout $limit $q -M q35 -bios qboot.rom -kernel "$(ls /var/cache/bhyve/vmlinux-* | head -1)" -initrd /tmp/initrd -append "$append do=$a" \
		-object iothread,id=io -drive if=none,id=d,file=$disk,format=raw,cache=none,aio=native -device "$1" </dev/null
}

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
}
timeout $limit $bhyve -l cmdline,"$append do=idle:5" vm | watch bhyve bhyve
for depth in ${depths:-1 32}; do
	a="io:${count:-40000}:$depth"
	for dev in virtio-blk nvme; do
		timeout $limit $bhyve -l cmdline,"$append do=$a" -s 4,$dev,$disk,nocache vm | watch bhyve-$dev bhyve $depth
	done
	[ -e /usr/bin/qemu-system-x86_64 ] || continue
	qemu_blk virtio-blk-pci,drive=d,iothread=io | watch qemu-virtio-blk qemu-system-x86 $depth
	qemu_blk nvme,drive=d,serial=1 | watch qemu-nvme qemu-system-x86 $depth
done
# Frames: the host pings the guest through vhost-net, and through our own thread.
for vhost in true false; do
	timeout $limit $bhyve -l cmdline,"$append do=net" -s 4,virtio-net,tap0,vhost=$vhost vm >/tmp/net.log &
	i=0
	until ip addr add 10.9.9.1/24 dev tap0 2>/dev/null || [ $((i += 1)) -gt 100 ]; do sleep 0.1; done
	ip link set tap0 up
	until grep -q "NET OK" /tmp/net.log || [ $((i += 1)) -gt 200 ]; do sleep 0.1; done
	e=$(exits) c=$(calls bhyve)
	n=$(ping -c 100 -i 0.01 10.9.9.2 | sed -n 's/.* \([0-9]*\) packets received.*/\1/p')
	echo "NET vhost=$vhost ${n:-0} $(($(exits) - e)) $(($(calls bhyve) - c))"
	bhyvectl poweroff vm 2>/dev/null
	wait
done
