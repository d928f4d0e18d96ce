# Inside L1 (`run hotplug.sh`): a running Linux gets a disk and gives it back.
b="/bin/bhyve -m 256 -o memory.thp=false -o pci.hotplug=true -l kernel,/b/l2.bz -l initrd,/b/l2.gz"
dd if=/dev/zero of=/tmp/disk bs=1M count=4 2>/dev/null
wait_for() { # TEXT PRESENT
	n=0
	while :; do
		tail -1 /tmp/a.log 2>/dev/null | grep -q "$1"; [ $? = $2 ] && return
		sleep 1; n=$((n + 1))
		[ $n -lt 60 ] || { echo "HOTPLUG: no $1"; cat /tmp/a.log; exit 1; }
	done
}
$b -l com1,file,/tmp/a.log -l cmdline,"console=ttyS0 quiet panic=-1 do=tick" a &
wait_for TICK 0
bhyvectl device-add a 5,virtio-blk,/tmp/disk || exit 1
wait_for 0000:00:05.0 0
echo "HOTPLUG came"
bhyvectl devices a
bhyvectl device-remove a 5 || exit 1
wait_for 0000:00:05.0 1
echo "HOTPLUG went"
bhyvectl device-add a 5,virtio-rnd || exit 1
wait_for 0000:00:05.0 0
echo "HOTPLUG came again"
bhyvectl poweroff a
