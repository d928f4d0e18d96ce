# Inside L1 (`L1_TIMEOUT=3600 run hangs.sh`): guests of ours and of QEMU's boot in turn, thirty of each.  A guest that
# hangs keeps its place from the end: the last line that begins with TRY is its name (tools/mend-qemu tells why).
append="console=ttyS0 quiet panic=-1"
bhyve="/bin/bhyve -m 256 -o boot.linux64=true -l kernel,/b/l2.bz -l initrd,/b/l2.gz -l com1,stdio"
q="/usr/bin/qemu-system-x86_64 -accel kvm -cpu host -m 256 -smp 1 -nodefaults -no-user-config -nographic -serial stdio -no-reboot"
n=0
while [ $n -lt 30 ]; do
	n=$((n + 1))
	echo "TRY bhyve $n"
	probe bhyve BOOTED $bhyve -l cmdline,"$append" vm
	echo "TRY qemu-microvm $n"
	probe qemu-microvm BOOTED $q -M microvm,rtc=on -bios qboot.rom -kernel "$(ls /var/cache/bhyve/vmlinux-* | head -1)" -initrd /b/l2.gz -append "$append"
done
