# Inside L1: each VMM boots the same guest; BOOTED ends the clock.  /b/todo says which, in which order
# (NAME.N: once more); `first:NAME` is the time from execve(2) to the guest's first instruction.  Huge pages are asked for as QEMU
# does, and the way into the kernel that is the default outside of an emulator; the pool for kernels is set aside.
echo 64 >/proc/sys/vm/nr_hugepages
mount -t tracefs trace /sys/kernel/tracing 2>/dev/null
append="console=ttyS0 quiet panic=-1"
b="/bin/bhyve -m 256 -o memory.thp=true -o boot.linux64=true -l kernel,/b/l2.bz -l initrd,/b/l2.gz -l com1,stdio"
q="/usr/bin/qemu-system-x86_64 -accel kvm -cpu host -m 256 -smp 1 -nodefaults -no-user-config -nographic -serial stdio -no-reboot"
# The second start is measured: the first makes caches of what it decompresses.  QEMU gets the kernel from there, too; RAM
# disks it has as they are, and by the name of -unpacked a row of its own with ours.
probe warm BOOTED $b -l "cmdline,$append" warm | sed 's/^RESULT/WARM/'
vmlinux=$(ls /var/cache/bhyve/vmlinux-* | head -1) initrd=$(ls /var/cache/bhyve/initrd-* | head -1)
for word in $(cat /b/todo); do
	name=${word%.*}
	how="$name BOOTED"
	[ "$name" = "${name#first:}" ] || how="--first ${name#first:}"
	case ${name#first:} in
	bhyve) probe $how $b -l "cmdline,$append" vm ;;
	qemu-q35) probe $how $q -M q35 -bios bios-256k.bin -kernel /b/l2.bz -initrd /b/l2.gz -append "$append" ;;
	qemu-microvm-tuned) probe $how $q -M microvm,rtc=on -bios qboot.rom -kernel $vmlinux -initrd /b/l2.gz -append "$append" ;;
	qemu-microvm-unpacked) probe $how $q -M microvm,rtc=on -bios qboot.rom -kernel $vmlinux -initrd $initrd -append "$append" ;;
	esac && echo "DONE $word"
done
true
