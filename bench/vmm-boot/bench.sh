# Inside L1: each VMM boots the same guest twice; BOOTED ends the clock.  Huge pages are asked for as QEMU does,
# and the way into the kernel that is the default outside of an emulator.
append="console=ttyS0 quiet panic=-1"
warm() { PROBE_VERBOSE= probe warm-$1 BOOTED /bin/bhyve -m 256 -o memory.thp=true -o boot.linux64=true -l kernel,/b/l2.bz -l initrd,/b/l2.gz -l cmdline,"$append" -l com1,stdio warm >/dev/null; }
warm bhyve
vmlinux=$(ls /var/cache/bhyve/vmlinux-* | head -1)
q="/usr/bin/qemu-system-x86_64 -accel kvm -cpu host -m 256 -smp 1 -nodefaults -no-user-config -nographic -serial stdio -no-reboot"
for i in 1 2; do
	probe bhyve BOOTED /bin/bhyve -m 256 -o memory.thp=true -o boot.linux64=true -l kernel,/b/l2.bz -l initrd,/b/l2.gz -l cmdline,"$append" -l com1,stdio vm
	[ -e /usr/bin/qemu-system-x86_64 ] || continue
	probe qemu-q35 BOOTED $q -M q35 -bios bios-256k.bin -kernel /b/l2.bz -initrd /b/l2.gz -append "$append"
	probe qemu-microvm-tuned BOOTED $q -M microvm,rtc=on -bios qboot.rom -kernel $vmlinux -initrd /b/l2.gz -append "$append"
done
