#!/bin/bash
# Small guests of bhyve(8): Linux in its variations, OVMF and SeaBIOS, and what they start from disks of all kinds, nested in
# bench/vmm-boot's place, whose clock counts instructions: how busy this machine is changes only how long it takes.
# The monitor alone; brand bhyve is tests/bhyve.t.  guests.t PART... runs those parts alone.
. "$(dirname "$0")/lib.sh"
. bench/nested.sh
[ "${ATOLL_IN_SYSROOT:-}" = 1 ] || exec tools/sysroot run "$0" "$@"
exec 2>"$top/build/guests.log"
nested=$top/build/nested work=$top/build/guests
bail() { echo "Bail out! $1 (log: build/guests.log)"; exit 1; }
# The monitor that the image ships, where there is one.
export BHYVE=$top/build/release/src/vmm/bhyve
[ -x "$BHYVE" ] || unset BHYVE
bench/vmm-boot/run --prepare >&2 || bail 'bench/vmm-boot/run --prepare failed'
rm -rf "$work" && mkdir -p "$work"/{root/lib/m,iso/boot/grub}

# The guest: that of the bench with another init and more modules.
tree=$(echo "$nested"/l2.tree/usr/lib/modules/*)
cp tests/guests.d/init "$work/root/init" && chmod 755 "$work/root/init"
cp "$nested/l2.root/lib/order" "$work/root/lib/"
for m in isofs button evdev; do
	f=$(find "$tree" -name "$m.ko*" | head -1)
	case $f in '') continue ;; *.xz) xz -dc "$f" >"$work/root/lib/m/$m.ko" ;; *) cp "$f" "$work/root/lib/m/" ;; esac
	echo "$m.ko" >>"$work/root/lib/order"
done
(cat "$nested/l2.gz"; cd "$work/root" && find . | cpio -o -H newc --quiet | gzip) >"$work/guest.gz"

# Another, of Debian's kernel for real machines, which has more drivers: it is told by a channel of the console what to do.
kernel=$(ls /lib/modules | head -1)
cp "/boot/vmlinuz-$kernel" "$work/full.bz"
busybox_root "$work/full" tests/guests.d/init
for a in basename sha256sum; do ln -sf busybox "$work/full/bin/$a"; done
gcc -O2 -static -o "$work/full/bin/vsock" tests/guests.d/vsock.c || bail 'vsock.c does not compile'
modules "/lib/modules/$kernel" "$work/full" 9p 9pnet_virtio vmw_vsock_virtio_transport bochs
(cd "$work/full" && find . | cpio -o -H newc --quiet | gzip) >"$work/full.gz"

# A CD that is a disk, too, for either firmware.
cp "$nested/l2.bz" "$work/iso/vmlinuz"
cp "$work/guest.gz" "$work/iso/init.gz"
echo 'the word' >"$work/iso/word"
menu() { printf '%s\n' 'serial --unit=0 --speed=115200' 'terminal_input serial' 'terminal_output serial' "$@" boot; }
menu 'linux /vmlinuz console=ttyS0 quiet panic=-1 do=root' 'initrd /init.gz' >"$work/iso/boot/grub/grub.cfg"
grub-mkrescue -o "$work/guest.iso" "$work/iso" >&2 || bail 'grub-mkrescue failed'
# Another with Memtest86+.
mkdir -p "$work/memtest/boot/grub" && cp /boot/memtest86+x64.bin "$work/memtest/" || bail 'no Memtest86+'
menu 'linux /memtest86+x64.bin console=ttyS0,115200' >"$work/memtest/boot/grub/grub.cfg"
grub-mkrescue -o "$work/memtest.iso" "$work/memtest" >&2 || bail 'grub-mkrescue failed'

# In parts, each in a place of its own, which may take a few times the processor's time that it needs.  What a busy
# machine leaves no time for is skipped, also in the middle: all are over before tools/tap loses its patience.  So is what
# stops in a QEMU that is not mended.
limit=$((${TEST_TIMEOUT:-1200} - 60))
tools/mend-qemu "$(command -v qemu-system-x86_64)" && mended=1 || mended=
if [ "$mended" ]; then pass 'QEMU is mended'; else skip 'QEMU is mended' 'another QEMU'; fi
firmware='/usr/share/OVMF/OVMF_CODE_4M.fd /usr/share/OVMF/OVMF_VARS_4M.fd'
only=" $* "
part() { # NAME FILE...
	local name=$1 out left=$((limit - SECONDS)); shift
	[[ $only == '  ' || $only == *" $name "* ]] || return
	[[ $only == '  ' ]] || left=540
	[ $left -ge 60 ] || { skip "$name" 'no time left'; return; }
	echo "$name" >"$work/part"
	PUT="$work/part $*" L1_CPU=300 L1_TIMEOUT=${GUESTS_TIMEOUT:-$((left < 540 ? left : 540))} bench/vmm-boot/run "$top/tests/guests.d/in-place.sh" >"$work/$name.out"
	out=$(tr -d '\r' <"$work/$name.out" | sed -n -e '/not ok - /{s/.*not ok - /not ok - /p;d}' -e 's/.*ok - /ok - /p' -e '/^#/p' -e '/^end$/p')
	if [[ $out != *end && $out != *'not ok - '* ]] && { [ ! "$mended" ] || grep -q '^L1: its time is over' "$work/$name.out"; }; then
		skip "$name" 'its place had no time left'
	else
		take_over "$name" "$out"
	fi
}
part direct "$work/guest.gz"
part vcpus "$work/guest.gz"
part devices "$work/guest.gz"
PROGRAMS='/usr/bin/swtpm /usr/bin/socat /usr/bin/vncsnapshot' part channels "$work/full.bz" "$work/full.gz"
part migrate "$work/guest.gz"
part save "$work/guest.gz"
part uefi_shell $firmware
bios=/usr/share/seabios/bios-256k.bin
part bios_cd $bios "$work/guest.iso"
part bios_disks $bios "$work/guest.iso"
part ipxe $bios /usr/lib/ipxe/ipxe.iso
part memtest $bios "$work/memtest.iso"
for root in cd nvme ahci; do part uefi_$root $firmware "$work/guest.iso"; done
part uefi_ipxe $firmware /usr/lib/ipxe/ipxe.iso
plan $tests_done
finish
