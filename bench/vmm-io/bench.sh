# Inside L1: the same guest reads the same device under each VMM.  Exits come from KVM's counters,
# system calls from a histogram of the kernel's tracer, by the name of the program.
t=/sys/kernel/tracing
mount -t tracefs trace $t 2>/dev/null
trigger=$t/events/raw_syscalls/sys_enter/trigger
[ -e $trigger ] || echo "NOTE no tracer: system calls are not counted"
calls() { # PROGRAM
	[ -e $trigger ] || { echo 0; return; }
	sed -n "s/.*common_pid: $1 .*hitcount: *\([0-9]*\).*/\1/p" $t/events/raw_syscalls/sys_enter/hist |
		{ n=0; while read -r c; do n=$((n + c)); done; echo $n; }
}
[ ! -e $trigger ] || echo 'hist:keys=common_pid.execname:size=2048' >$trigger
append="console=ttyS0 quiet panic=-1 do=io"
cat /b/l2.gz /b/io.gz >/tmp/initrd
q="/usr/bin/qemu-system-x86_64 -accel kvm -cpu host -m 256 -smp 1 -nodefaults -no-user-config -nographic -serial stdio -no-reboot"
watch() { # NAME PROGRAM DEPTH; reads the guest's console
	while read -r word n us; do
		case $word in
		*IO-BEGIN*) e=$(cat /sys/kernel/debug/kvm/exits) c=$(calls $2) ;;
		*IO-END*)
			us=${us%%[!0-9]*}
			echo "IO $1 $3 $n $(($(cat /sys/kernel/debug/kvm/exits) - e)) $(($(calls $2) - c)) $us"
			;;
		esac
	done
}
disk=/dev/nullb0
vmlinux() { ls /var/cache/bhyve/vmlinux-* | head -1; }
for depth in 1 32; do
	a="$append:${count:-4000}:$depth"
	for dev in virtio-blk nvme; do
		timeout 100 bhyve -m 256 -l kernel,/b/l2.bz -l initrd,/tmp/initrd -l cmdline,"$a" -l com1,stdio -s 4,$dev,$disk,nocache vm |
			watch bhyve-$dev bhyve $depth
	done
	[ -e /usr/bin/qemu-system-x86_64 ] || continue
	timeout 100 $q -M q35 -bios qboot.rom -kernel $(vmlinux) -initrd /tmp/initrd -append "$a" \
		-object iothread,id=io -drive if=none,id=d,file=$disk,format=raw,cache=none,aio=native \
		-device virtio-blk-pci,drive=d,iothread=io </dev/null | watch qemu-virtio-blk qemu-system-x86 $depth
	timeout 100 $q -M q35 -bios qboot.rom -kernel $(vmlinux) -initrd /tmp/initrd -append "$a" \
		-drive if=none,id=d,file=$disk,format=raw,cache=none,aio=native \
		-device nvme,drive=d,serial=1 </dev/null | watch qemu-nvme qemu-system-x86 $depth
done
# Frames: the guest pings the other end of a tap, by vhost-net and by our own thread.
ip link show >/dev/null
for vhost in true false; do
	timeout 100 bhyve -m 256 -l kernel,/b/l2.bz -l initrd,/tmp/initrd -l cmdline,"console=ttyS0 quiet panic=-1 do=net" \
		-l com1,stdio -s 4,virtio-net,tap0,vhost=$vhost vm | sed -n "s/^NET OK/NET bhyve vhost=$vhost OK/p" &
	i=0
	until ip addr add 10.9.9.1/24 dev tap0 2>/dev/null || [ $((i += 1)) -gt 300 ]; do sleep 0.1; done
	ip link set tap0 up
	wait
done
